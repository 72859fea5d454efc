# refused: not text: put it in quotes
5:
  test.nop: []
