a:
  test.nop:
    - x: {{ 1 + nope }}
