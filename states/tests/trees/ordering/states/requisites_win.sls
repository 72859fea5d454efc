first:
  test.nop:
    - order: first
    - require:
      - test: last
last:
  test.nop:
    - order: last
between:
  test.nop:
    - order: 2
