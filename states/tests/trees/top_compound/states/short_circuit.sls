short_circuit:
  test.nop: []
