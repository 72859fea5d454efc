base:
  '*':
    - match: glob
    - common
    - only_base
dev:
  '*':
    - common
qa:
  'web-*':
    - checks
