include:
  - ..other
  - .parts.leaf
conf: test.nop
