# refused: is followed by other keys in the same list entry
there: test.nop
asks:
  test.nop:
    - require:
      - test: there
      name: other
