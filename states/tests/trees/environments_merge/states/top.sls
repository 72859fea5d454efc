base:
  '*':
    - common
  'web-*':
    - only_base
    - dev: feature
qa:
  '*':
    - checks
