cached:
  test.nop: []
