a:
  test.nop:
    - x: !!python/object/apply:os.getpid []
