include: [_things]
early:
  test.nop:
    - onchanges_in:
      - test: one
      - cmd: three
mapped:
  cmd.run:
    - name: echo mapped
    - onchanges_in:
        test: two
by_name:
  test.nop:
    - onchanges_in:
      - test: second
      - file: /etc/three
bare:
  file.managed:
    - name: /etc/bare
    - onchanges_in:
      - one
      - three
