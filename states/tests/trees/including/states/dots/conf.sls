include:
  - .
