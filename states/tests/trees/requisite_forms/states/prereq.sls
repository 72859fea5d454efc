include: [_things]
by_state_and_id:
  test.nop:
    - prereq:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - prereq:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - prereq:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - prereq:
      - cmd: three
      - test: many
