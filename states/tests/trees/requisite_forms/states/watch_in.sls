include: [_things]
early:
  test.nop:
    - watch_in:
      - test: one
      - cmd: three
mapped:
  cmd.run:
    - name: echo mapped
    - watch_in:
        test: two
by_name:
  test.nop:
    - watch_in:
      - test: second
      - file: /etc/three
bare:
  file.managed:
    - name: /etc/bare
    - watch_in:
      - one
      - three
