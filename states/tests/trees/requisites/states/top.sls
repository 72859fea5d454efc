base:
  '*':
    - reqs
    - more
    - empty
