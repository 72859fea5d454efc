include: [_things]
early:
  test.nop:
    - require_in:
      - test: one
      - cmd: three
mapped:
  cmd.run:
    - name: echo mapped
    - require_in:
        test: two
by_name:
  test.nop:
    - require_in:
      - test: second
      - file: /etc/three
bare:
  file.managed:
    - name: /etc/bare
    - require_in:
      - one
      - three
