include:
  - .parts
  - .conf
app: test.nop
