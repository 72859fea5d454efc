# refused: requisites form a cycle
# refused: refused_cycle.sls:
# refused: take one of these requisites out
a:
  test.nop:
    - require: [b]
b:
  test.nop:
    - watch: [c]
c:
  test.nop:
    - onchanges: [a]
