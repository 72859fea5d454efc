a:
  test.nop:
    - x: 1
b:test.nop
c:
  test.nop: []
