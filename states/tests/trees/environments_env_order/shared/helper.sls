helper-shared:
  test.nop: []
