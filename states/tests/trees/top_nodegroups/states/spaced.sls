spaced:
  test.nop: []
