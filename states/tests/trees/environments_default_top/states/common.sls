common-base:
  test.nop: []
