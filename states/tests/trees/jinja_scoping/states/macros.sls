{% set shared = 'before' %}
{% macro plain(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}
{% macro extra(a) %}{{ a }} {{ varargs }} {{ kwargs }}{% endmacro %}
{% macro wrap(x) %}[{{ caller(x, b=2) }}]{% endmacro %}
{% macro maybe(caller=none) %}{{ caller() if caller else 'nobody' }}{% endmacro %}
{% macro late() %}{{ shared }}{% endmacro %}
{% macro grow(l=[]) %}{% do l.append(1) %}{{ l }}{% endmacro %}
{% macro count(n) %}{% if n > 0 %}{{ n }}{{ count(n - 1) }}{% endif %}{% endmacro %}
{% macro missing(a) %}{{ a is defined }}{% endmacro %}
{% set shared = 'after' %}
macros:
  test.nop:
    - plain: "{{ plain(1) }} {{ plain(1, c=9) }} {{ plain(b=5, a=4) }}"
    - extra: "{{ extra(1, 2, 3, x=4) }}"
    - wrap: "{% call(a, b=7) wrap(1) %}{{ a }}{{ b }}{% endcall %}"
    - maybe: "{{ maybe() }} {% call maybe() %}somebody{% endcall %}"
    - late: {{ late() }}
    - grow: "{{ grow() }}{{ grow() }}"
    - count: "{{ count(3) }}"
    - missing: {{ missing() }}
    - spread: "{{ plain(*[1, 2], **{'c': 3}) }}"
    - about: "{{ plain.name }} {{ plain.arguments }} {{ extra.catch_kwargs }}"
