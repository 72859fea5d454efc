base:
  '*':
    - data
    - addresses
    - digests
    - text
