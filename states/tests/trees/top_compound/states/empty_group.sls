empty_group:
  test.nop: []
