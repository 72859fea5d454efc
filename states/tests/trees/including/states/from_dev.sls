include:
  - dev: lone
  - other
