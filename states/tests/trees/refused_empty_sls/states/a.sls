include: [empty]
x:
  test.nop:
    - require: [{sls: empty}]
