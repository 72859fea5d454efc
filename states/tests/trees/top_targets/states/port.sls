port:
  test.nop: []
