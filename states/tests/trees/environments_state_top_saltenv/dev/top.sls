dev:
  '*':
    - feature
