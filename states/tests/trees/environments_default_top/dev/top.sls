dev:
  '*':
    - feature
qa:
  'web-*':
    - checks
