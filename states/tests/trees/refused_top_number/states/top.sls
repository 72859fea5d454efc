base:
  '*':
    - a
    - 5
