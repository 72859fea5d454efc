d.two:
  test.nop: []
