precedence:
  test.nop: []
