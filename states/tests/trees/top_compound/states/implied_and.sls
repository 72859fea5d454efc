implied_and:
  test.nop: []
