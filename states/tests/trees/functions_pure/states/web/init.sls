web_init:
  test.nop: []
