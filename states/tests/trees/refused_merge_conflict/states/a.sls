a:
  test.nop:
    - x: &x {k: 1}
    - y: {<<: [*x, {k: 2}]}
