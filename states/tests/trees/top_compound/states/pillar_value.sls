pillar_value:
  test.nop: []
