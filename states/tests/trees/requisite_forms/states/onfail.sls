include: [_things]
by_state_and_id:
  test.nop:
    - onfail:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - onfail:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - onfail:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - onfail:
      - cmd: three
      - test: many
