include: [_base]
extend:
  more:
    test.succeed_with_changes: []
