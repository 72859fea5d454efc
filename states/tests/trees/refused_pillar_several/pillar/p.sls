include:
  - gone
  - q
