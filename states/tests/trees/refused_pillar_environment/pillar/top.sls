base:
  '*':
    - p
dev:
  '*':
    - p
