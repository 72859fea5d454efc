base:
  '*':
    - a
    - 'web.*'
