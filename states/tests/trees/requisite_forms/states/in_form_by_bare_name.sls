# Two declarations have the name: which of them is meant?
first:
  cmd.run:
    - name: same
second:
  test.nop:
    - name: same
asks:
  test.nop:
    - name: other
    - require_in:
      - same
