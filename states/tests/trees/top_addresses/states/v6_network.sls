v6_network:
  test.nop: []
