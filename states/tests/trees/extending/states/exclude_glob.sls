include: [_base]
exclude:
  - sls: '_m*'
own: test.nop
