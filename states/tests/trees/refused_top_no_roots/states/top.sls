base:
  '*':
    - a
dev:
  '*':
    - a
