a:
  test.nop:
    - x: !Ref thing
