dev:
  '*':
    - common
    - feature
