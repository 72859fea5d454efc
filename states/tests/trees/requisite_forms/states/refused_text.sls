# refused: `require` of the ID 'asks' must be a list
there: test.nop
asks:
  test.nop:
    - require: there
