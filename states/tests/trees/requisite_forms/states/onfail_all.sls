include: [_things]
by_state_and_id:
  test.nop:
    - onfail_all:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - onfail_all:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - onfail_all:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - onfail_all:
      - cmd: three
      - test: many
