plain: test.nop
dotted:
  test.nop: []
listed:
  test:
    - nop
mixed:
  test:
    - x: 1
    - succeed_with_changes
    - y: 2
three_parts: test.nop.more
