include: [_giver]
exclude:
  - sls: _giver
taker: test.nop
