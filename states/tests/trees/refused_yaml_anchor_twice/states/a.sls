a:
  test.nop:
    - x: &x 1
    - y: &x 2
