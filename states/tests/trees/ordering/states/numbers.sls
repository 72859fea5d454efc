last:
  test.nop:
    - order: last
later:
  test.nop:
    - order: 50
negative:
  test.nop:
    - order: -1
more_negative:
  test.nop:
    - order: -10
plain: test.nop
first:
  test.nop:
    - order: first
early:
  test.nop:
    - order: 3
fraction:
  test.nop:
    - order: 2.5
zero:
  test.nop:
    - order: 0
huge:
  test.nop:
    - order: 2000000
odd:
  test.nop:
    - order: middle
text_number:
  test.nop:
    - order: '4'
truth:
  test.nop:
    - order: true
nothing:
  test.nop:
    - order:
after: test.nop
