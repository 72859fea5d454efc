include: [_things]
early:
  test.nop:
    - onfail_in:
      - test: one
      - cmd: three
mapped:
  cmd.run:
    - name: echo mapped
    - onfail_in:
        test: two
by_name:
  test.nop:
    - onfail_in:
      - test: second
      - file: /etc/three
bare:
  file.managed:
    - name: /etc/bare
    - onfail_in:
      - one
      - three
