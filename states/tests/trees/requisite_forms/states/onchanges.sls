include: [_things]
by_state_and_id:
  test.nop:
    - onchanges:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - onchanges:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - onchanges:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - onchanges:
      - cmd: three
      - test: many
