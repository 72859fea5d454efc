base:
  'E@web(':
    - a
