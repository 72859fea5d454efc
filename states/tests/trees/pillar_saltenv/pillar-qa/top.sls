qa:
  '*':
    - common
