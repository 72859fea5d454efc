v6:
  test.nop: []
