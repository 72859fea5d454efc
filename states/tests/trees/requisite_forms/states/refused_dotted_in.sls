# refused: requisites name a state without its function: `test`
there: test.nop
asks:
  test.nop:
    - require_in:
      - test.nop: there
