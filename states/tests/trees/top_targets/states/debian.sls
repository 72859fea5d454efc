debian:
  test.nop: []
