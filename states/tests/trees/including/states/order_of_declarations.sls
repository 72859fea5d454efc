before: test.nop
include:
  - other
  - app.parts.leaf
after: test.nop
