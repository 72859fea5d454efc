many:
  test.nop:
    - names: [a, b]
asks:
  test.nop:
    - require_in:
      - test: many
