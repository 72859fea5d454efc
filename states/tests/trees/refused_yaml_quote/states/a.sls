a:
  test.nop:
    - x: "open
