hostmask:
  test.nop: []
