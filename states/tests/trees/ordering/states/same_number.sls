beta:
  test.nop:
    - order: 7
alpha:
  test.nop:
    - order: 7
  file.managed:
    - name: /x
    - order: 7
Alpha:
  cmd.run:
    - name: zz
    - order: 7
gamma:
  cmd.run:
    - name: aa
    - order: 7
