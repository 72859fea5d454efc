release:
  test.nop: []
