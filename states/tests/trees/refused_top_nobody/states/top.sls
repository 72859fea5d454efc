base:
  'db-*':
    - a
