# What waits for a step pulls it forward, the heaviest requisite first.
a:
  test.nop:
    - order: 100
b:
  test.nop:
    - order: 90
c:
  test.nop:
    - order: 10
    - require: [{test: a}]
d:
  test.nop:
    - order: 20
    - onfail: [{test: b}]
e:
  test.nop:
    - order: 5
    - onchanges: [{test: b}]
f:
  test.nop:
    - order: 1
    - watch_any: [{test: b}]
