# An entry of a state's list may have several keys; a key that comes again replaces the first.
merged:
  test.nop:
    - a: 1
      b: 2
    - c: {nested: {deep: [1, 2]}}
    - a: 3
    - state: ignored
    - fun_like: nop
typed:
  test.nop:
    - values: [1, 1.5, true, null, '1', 0o17, 0644, 1_000, 12:30:45, 2020-01-02]
