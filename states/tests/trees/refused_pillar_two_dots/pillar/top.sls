base:
  '*':
    - d.e.p
