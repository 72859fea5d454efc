own:
  test.nop:
    - require_in:
      - test: leaf
include: [app.parts.leaf]
