# refused: requisites form a cycle
a:
  test.nop:
    - require:
      - test: a
