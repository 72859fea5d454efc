region:
  test.nop: []
