addressed:
  test.nop: []
