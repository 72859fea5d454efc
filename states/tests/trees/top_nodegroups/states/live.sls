live:
  test.nop: []
