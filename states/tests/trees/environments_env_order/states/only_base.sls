only-base:
  test.nop: []
