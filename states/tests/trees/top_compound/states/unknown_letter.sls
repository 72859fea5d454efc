unknown_letter:
  test.nop: []
