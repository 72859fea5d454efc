names:
  test.nop: []
