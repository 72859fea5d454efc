include:
  - gone
q: 1
