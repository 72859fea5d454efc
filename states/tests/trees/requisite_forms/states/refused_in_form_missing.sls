# refused: cannot extend 'nobody'
asks:
  test.nop:
    - require_in:
      - test: nobody
