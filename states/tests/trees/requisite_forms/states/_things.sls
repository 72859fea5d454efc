one: test.nop
two:
  test.nop:
    - name: second
three:
  file.managed:
    - name: /etc/three
  cmd.run:
    - name: echo three
many:
  test.nop:
    - names: [m1, m2, m3]
