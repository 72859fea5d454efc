# refused: by something that is no text
asks:
  test.nop:
    - require:
      - test: 5
