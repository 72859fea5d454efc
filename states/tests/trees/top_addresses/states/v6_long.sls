v6_long:
  test.nop: []
