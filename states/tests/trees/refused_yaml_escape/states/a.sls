a:
  test.nop:
    - x: "\d"
