network:
  test.nop: []
