d.one:
  test.nop: []
