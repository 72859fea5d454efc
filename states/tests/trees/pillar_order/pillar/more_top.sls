base:
  'web-*':
    - order: '9'
    - last
    - included
