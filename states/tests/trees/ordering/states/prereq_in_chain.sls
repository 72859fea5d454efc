deploy:
  test.succeed_with_changes:
    - require: [{test: gate}]
gate:
  test.nop:
    - order: last
stop:
  test.nop:
    - prereq_in: [{test: deploy}]
start:
  test.nop:
    - onchanges: [{test: deploy}]
    - watch: [{test: stop}]
