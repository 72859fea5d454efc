other_delimiter:
  test.nop: []
