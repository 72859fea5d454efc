{% set d = {} %}
a:
  test.nop:
    - x: {{ d.get('a', default=1) }}
