include: [_things]
by_state_and_id:
  test.nop:
    - listen:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - listen:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - listen:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - listen:
      - cmd: three
      - test: many
