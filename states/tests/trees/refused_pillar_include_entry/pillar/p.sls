include:
  - q:
