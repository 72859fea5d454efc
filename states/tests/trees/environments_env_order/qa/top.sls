qa:
  '*':
    - checks
