giver:
  test.nop:
    - given: 1
    - use_in:
      - test: taker
