teams:
  test.nop: []
