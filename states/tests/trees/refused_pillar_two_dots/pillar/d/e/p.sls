include:
  - ..q
