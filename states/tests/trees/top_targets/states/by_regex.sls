by_regex:
  test.nop: []
