loop:
  test.nop: []
