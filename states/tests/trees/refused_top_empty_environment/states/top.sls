base:
  '*':
    - a
dev:
