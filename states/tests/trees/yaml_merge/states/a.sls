# Anchors, aliases and merge keys.
{% load_yaml as data %}
base: &base {a: 1, b: 2, c: &c [x, y]}
more: &more
  d: 4
  e: *c
one:
  <<: *base
  b: own
two:
  first: 1
  <<: [*base, *more]
  last: 9
chained: &chained
  <<: *base
  z: 26
again:
  <<: *chained
  a: own
inline:
  <<: {k: v}
quoted:
  "<<": {k: v}
numbers:
  <<: {1: base, 0x3: base}
  '1': own
  '0x3': own
list: [*c, *c]
{% endload %}
{%- for name, value in data.items() %}
{{ name }}:
  test.nop:
    - value: {{ value | json }}
{%- if value is mapping %}
    - names: {{ value.keys() | list | json }}
{%- endif %}
{%- endfor %}

plain:
  test.nop:
    - a: &value [1, 2]
    - b: *value
