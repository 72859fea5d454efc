base:
  '*':
    - undefined
