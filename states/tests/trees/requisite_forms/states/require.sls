include: [_things]
by_state_and_id:
  test.nop:
    - require:
      - test: one
by_state_and_name:
  cmd.run:
    - name: echo
    - require:
      - test: second
      - file: /etc/three
by_id:
  test.nop:
    - require:
      - one
      - id: two
      - id: /etc/three
several_keys:
  service.running:
    - name: svc
    - require:
      - cmd: three
      - test: many
