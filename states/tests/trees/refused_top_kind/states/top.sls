base:
  '*':
    - match: wonder
    - a
