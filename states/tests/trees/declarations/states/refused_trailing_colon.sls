# refused: leave out the colon
broken:
  test.nop:
