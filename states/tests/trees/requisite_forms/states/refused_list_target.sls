# refused: by something that is no text
there: test.nop
asks:
  test.nop:
    - require:
      - test: [there]
