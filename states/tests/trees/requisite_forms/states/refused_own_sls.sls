# refused: requisites form a cycle
include: [_things]
gate:
  test.nop:
    - require:
      - sls: refused_own_sls
      - test: one
