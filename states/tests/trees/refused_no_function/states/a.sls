a:
  file:
    - mode: 600
b:
  test.nop:
    x: 1
c:
  test:
    - nop
    - ping
