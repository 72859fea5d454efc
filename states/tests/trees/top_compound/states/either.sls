either:
  test.nop: []
