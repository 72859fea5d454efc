include:
  - a
one:
  test.nop:
    - require:
      - sls: a
