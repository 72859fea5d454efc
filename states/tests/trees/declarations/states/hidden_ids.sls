__hidden:
  test.nop: []
_shown:
  test.nop: []
shown:
  __hidden: []
  test.nop: []
