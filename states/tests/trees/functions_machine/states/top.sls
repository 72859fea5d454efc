base:
  "*":
    - machine
