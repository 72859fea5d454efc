elsewhere:
  test.fail_without_changes: []
