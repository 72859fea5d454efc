every:
  test.nop: []
