base:
  "*":
    - lookups
