pulled-up:
  test.nop:
    - require:
      - test: pulled-dependency
stays:
  test.nop: []
pulled-dependency:
  test.nop: []
wanted-last:
  test.nop:
    - order: last
wants-last:
  test.nop:
    - onchanges:
      - test: wanted-last
