base:
  '*':
    - match: wonder
    - p
