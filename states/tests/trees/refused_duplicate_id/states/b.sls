same:
  test.nop: []
