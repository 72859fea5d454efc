short: test.nop
other:
  test: [nop, {x: 1}]
gone:
  test.nop: []
exclude:
  - id: gone
  - sls: by_nothing
