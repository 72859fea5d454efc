address:
  test.nop: []
