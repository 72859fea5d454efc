gate: test.nop
all:
  test.nop:
    - names:
      - one
      - two:
        - require:
          - test: gate
      - three:
        - order: first
