base:
  'web-*':
    - more
  '*':
    - b
    - d.*
