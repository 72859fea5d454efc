expression:
  test.nop: []
