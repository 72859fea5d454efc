everything:
  test.nop: []
