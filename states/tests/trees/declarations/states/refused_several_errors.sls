# refused: 'first'
# refused: 'second'
# refused: 'third'
first:
  file:
    - name: /x
second:
  test.nop:
third:
  file.managed:
    - names: x
