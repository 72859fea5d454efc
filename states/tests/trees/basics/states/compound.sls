compound:
  test.nop:
    - order: 5
negative:
  test.nop:
    - order: -3
second:
  test.nop:
    - order: 20000
