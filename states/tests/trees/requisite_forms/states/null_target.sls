lenient:
  test.nop:
    - require:
      - test:
