base:
  '*':
    - common
dev:
  'web-*':
    - extra
