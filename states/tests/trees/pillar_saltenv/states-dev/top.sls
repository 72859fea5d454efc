dev:
  '*':
    - show
