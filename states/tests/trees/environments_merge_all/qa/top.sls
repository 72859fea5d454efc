qa:
  '*':
    - checks
dev:
  'G@role:web':
    - feature
