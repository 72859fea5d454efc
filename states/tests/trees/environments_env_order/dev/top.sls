base:
  '*':
    - ignored
dev:
  '*':
    - common
    - feature
qa:
  '*':
    - ignored
