base:
  '*':
    - text
    - lists
    - mappings
    - numbers
