numbered:
  test.nop: []
