a:
  test.nop:
    - x: {{ {'value': nothing} }}
