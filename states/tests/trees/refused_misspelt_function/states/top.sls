base:
  "*":
    - x
