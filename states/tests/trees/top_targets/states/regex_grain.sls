regex_grain:
  test.nop: []
