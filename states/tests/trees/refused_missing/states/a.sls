a:
  test.nop:
    - require:
      - test: nothere
