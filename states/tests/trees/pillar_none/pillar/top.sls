base:
  '*':
    - common
    - more
