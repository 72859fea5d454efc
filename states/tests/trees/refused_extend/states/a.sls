extend:
  ghost:
    file:
      - mode: 600
a:
  test.nop: []
