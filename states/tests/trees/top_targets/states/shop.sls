shop:
  test.nop: []
