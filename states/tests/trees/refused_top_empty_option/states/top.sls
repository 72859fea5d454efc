base:
  '*':
    - a
  'db-*':
    - ignore_missing: false
    - a
