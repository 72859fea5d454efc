a:
  test.nop:
    - x: {a: 1, b: 2, a: 3}
