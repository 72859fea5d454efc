# refused: there is a `test: there`
there: test.nop
asks:
  test.nop:
    - watch:
      - file: there
