base:
  '*':
    - sequences
    - text
    - numbers
