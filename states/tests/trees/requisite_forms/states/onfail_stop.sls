include: [_things]
by_state_and_id:
  test.nop:
    - onfail_stop:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - onfail_stop:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - onfail_stop:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - onfail_stop:
      - cmd: three
      - test: many
