include: [_things]
by_state_and_id:
  test.nop:
    - watch:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - watch:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - watch:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - watch:
      - cmd: three
      - test: many
