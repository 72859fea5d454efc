target:
  test.nop:
    - require:
      - test: one
    - watch:
      - test: one
one:
  test.nop:
    - watch_in:
      - test: target
two:
  test.nop:
    - require_in:
      - test: target
three:
  test.nop:
    - require_in:
      - test: target
      - test: one
