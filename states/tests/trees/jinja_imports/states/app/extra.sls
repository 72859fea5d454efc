{% import 'app/lib.jinja' as lib %}
extra:
  test.nop:
    - fresh list: {{ lib.names }}
