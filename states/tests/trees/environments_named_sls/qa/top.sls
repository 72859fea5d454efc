qa:
  '*':
    - ignored
