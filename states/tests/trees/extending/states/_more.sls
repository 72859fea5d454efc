more:
  test.nop:
    - name: many names
