include:
  - q
