{% set maybe = {'a': {'b': 1}} %}
{% set late = {'value': nothing} %}
undefined:
  test.nop:
    - default: {{ nothing | default('d') }} {{ maybe.x | default('e') }} {{ '' | default('f', true) }}
    - deep: {{ (maybe.x | default({})).y | default('g') }}
    - defined: {{ maybe.a.b is defined }} {{ maybe.a.c is defined }}
    - held: {{ late.value is defined }} {{ late | length }}
    - conditional: "{{ 'x' if false }}|{{ ('x' if false) is defined }}|{{ ('x' if false) ~ 'y' }}"
    - in list: "{{ [1, ('x' if false)] }}"
    - empty: {{ [] | first is defined }} {{ [] | last | default('none') }}
    - through filters: {{ nothing | json | default('j') }} {{ [nothing] | yaml | default('y') }}
    - in nothing: {{ nothing in [] }}
    - items: {{ nothing | items | list }}
