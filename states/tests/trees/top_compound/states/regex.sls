regex:
  test.nop: []
