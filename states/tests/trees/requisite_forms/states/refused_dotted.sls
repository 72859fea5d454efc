# refused: requisites name a state without its function: `test`
there: test.nop
asks:
  test.nop:
    - require:
      - test.nop: there
