base:
  - a
