# refused: names `test: nobody*`
asks:
  test.nop:
    - onchanges:
      - test: nobody*
