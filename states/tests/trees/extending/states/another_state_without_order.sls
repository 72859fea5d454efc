include: [_base]
before:
  test.nop:
    - order: last
extend:
  more:
    cmd:
      - run
      - name: echo added
after:
  test.nop: []
