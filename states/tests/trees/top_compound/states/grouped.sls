grouped:
  test.nop: []
