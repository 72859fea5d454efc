base:
  '*':
    - data
    - sub.more
