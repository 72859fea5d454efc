base:
  '*':
    - reqs
    - more
    - empty
    - pull
