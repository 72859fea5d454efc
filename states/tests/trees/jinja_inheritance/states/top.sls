base:
  '*':
    - child
    - conditional
