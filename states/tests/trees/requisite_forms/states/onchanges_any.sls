include: [_things]
by_state_and_id:
  test.nop:
    - onchanges_any:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - onchanges_any:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - onchanges_any:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - onchanges_any:
      - cmd: three
      - test: many
