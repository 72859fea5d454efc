many:
  test.nop:
    - names: [c, a, b]
ordered:
  test.nop:
    - order: 1
    - names: [z, y, x]
pulled:
  test.nop:
    - order: 1
    - require:
      - test: many
