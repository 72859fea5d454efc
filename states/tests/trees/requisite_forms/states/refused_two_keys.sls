# refused: is no pair
there: test.nop
asks:
  test.nop:
    - require:
      - test: there
        file: there
