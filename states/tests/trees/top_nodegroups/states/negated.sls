negated:
  test.nop: []
