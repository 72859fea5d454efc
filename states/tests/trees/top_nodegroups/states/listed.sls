listed:
  test.nop: []
