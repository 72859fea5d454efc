netmask:
  test.nop: []
