# refused: names a test by something that is no text
there: test.nop
asks:
  test.nop:
    - require_in:
      - test:
