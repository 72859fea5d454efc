include:
  - base: only_base
checks:
  test.nop: []
