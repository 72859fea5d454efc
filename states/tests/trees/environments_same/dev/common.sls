common-dev:
  test.nop:
    - env: {{ saltenv }}
    - found: {{ salt['cp.list_states'](saltenv) | json }}
