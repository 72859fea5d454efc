include: [_things]
early:
  test.nop:
    - prereq_in:
      - test: one
      - cmd: three
mapped:
  cmd.run:
    - name: echo mapped
    - prereq_in:
        test: two
by_name:
  test.nop:
    - prereq_in:
      - test: second
      - file: /etc/three
bare:
  file.managed:
    - name: /etc/bare
    - prereq_in:
      - one
      - three
