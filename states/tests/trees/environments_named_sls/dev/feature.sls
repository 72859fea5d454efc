include:
  - helper
feature:
  test.nop: []
