{% set x = 'outer' %}
{% if true %}{% set in_if = 'kept' %}{% set x = 'changed' %}{% endif %}
{% for i in [1] %}{% set in_for = 'lost' %}{% set x = 'in loop' %}{% endfor %}
{% with x = 'inner', y = x %}{% set seen = x ~ y %}{% endwith %}
{% set ns = namespace(sum=0) %}
{% for i in [1, 2, 3] %}{% set ns.sum = ns.sum + i %}{% endfor %}
{% set text %}{% set inside = 1 %}text {{ inside }}{% endset %}
{% set shouted | replace('a', 'b') | upper %}banana{% endset %}
{% set a, (b, c) = 1, (2, 3) %}
{% load_yaml as loaded %}{% set key = 'k' %}{{ key }}: [1, yes]{% endload %}
variables:
  test.nop:
    - x: {{ x }}
    - in_if: {{ in_if }}
    - in_for: {{ in_for is defined }}
    - seen: {{ seen is defined }}
    - sum: {{ ns.sum }}
    - text: {{ text }}
    - inside: {{ inside is defined }}
    - shouted: {{ shouted }}
    - unpacked: {{ [a, b, c] }}
    - loaded: {{ loaded }}
    - key: {{ key is defined }}
    - filtered: {% filter upper | replace('B', 'x') %}a{{ 'b' }}{% endfilter %}

