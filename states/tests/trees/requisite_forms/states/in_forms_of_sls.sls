include: [_things]
before_all:
  test.nop:
    - require_in:
      - sls: _things
after_all:
  test.nop:
    - require:
      - sls: _things
globbed:
  test.nop:
    - require:
      - sls: '_th*'
      - test: 'm*'
      - file: '/etc/*'
