include:
  - .leaf
  - ..conf
parts: test.nop
