webs:
  test.nop: []
