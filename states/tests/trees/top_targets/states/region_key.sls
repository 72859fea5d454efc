region_key:
  test.nop: []
