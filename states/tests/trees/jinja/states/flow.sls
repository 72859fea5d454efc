{%- set data = {'users': [{'name': 'ann', 'groups': ['a', 'b']}, {'name': 'bob'}]} %}
{%- do data.users.append({'name': 'cy'}) %}
{%- do data.update({'extra': 1}) %}
{%- set _ = data.setdefault('dflt', []).append('z') %}
{%- do data.users[0].groups.extend(['c']) if true %}
{%- set ns = namespace(n=0, found=false) %}
{%- for u in data.users if u.name != 'bob' %}
{%-   set ns.n = ns.n + loop.index * 10 %}
{%- endfor %}
{% macro field(label, value='dflt') -%}
{{ label }}={{ value }}{% if varargs %}+{{ varargs | join('/') }}{% endif %}{% if kwargs %}*{{ kwargs | json }}{% endif %}
{%- endmacro %}
{% macro wrap(tag) -%}
<{{ tag }}>{{ caller('x') }}</{{ tag }}>
{%- endmacro %}
{% macro plain(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}
{% set block %}
 kept   as is {{ 1 + 1 }}
{% endset %}
{% set filtered | upper | trim %}  shout  {% endset %}
{% load_yaml as loaded %}
a: 1
b: [x, {{ grains.role }}]
{% endload %}
{% load_json as loaded_json %}
{"k": [1, 2, {"z": null}]}
{% endload %}
{% load_text as loaded_text %}
 some text
{% endload %}
{%- set outer = 'o' %}
flow:
  test.nop:
    - data: {{ data | json }}
    - ns: {{ ns.n }}
    - loop: "{% for i in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('o', 'e') }}{{ loop.previtem | default('-') }}{{ loop.nextitem | default('-') }} {% endfor %}"
    - else: "{% for i in [] %}x{% else %}empty{% endfor %}"
    - brk: "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    - scope: "{% for i in [1] %}{% set outer = 'i' %}{{ outer }}{% endfor %}{{ outer }}{% if true %}{% set outer = 'if' %}{% endif %}{{ outer }}"
    - recursive: "{% for item in [{'n': 1, 'c': [{'n': 2, 'c': []}, {'n': 3, 'c': [{'n': 4, 'c': []}]}]}] recursive %}({{ item.n }}@{{ loop.depth }}{{ loop(item.c) }}){% endfor %}"
    - nested: "{% for a in [1, 2] %}{% set o = loop %}{% for b in [3, 4] %}{{ o.index }}.{{ loop.index }} {% endfor %}{% endfor %}"
    - unpack: "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}"
    - macro: "{{ field('a') }} {{ field('b', 5) }} {{ field('c', 1, 2, 3) }}"
    - call: "{% call(v) wrap('b') %}in{{ v }}{% endcall %}"
    - args: "{{ plain(1) }} {{ plain(1, c=5) }} {{ plain(b=3, a=4) }} {{ plain(*[7, 8]) }} {{ plain(**{'a': 9}) }}"
    - block: {{ block | json }}
    - filtered: {{ filtered | json }}
    - filterblock: "{% filter upper %}up {{ 'x' }}{% endfilter %}"
    - with: "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}"
    - loaded: {{ loaded | json }}
    - loaded_json: {{ loaded_json | json }}
    - loaded_text: {{ loaded_text | json }}
    - raw: "{% raw %}{{ not a var }}{% endraw %}"
    - comment: "a{# gone #}b"
    - changed: "{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}"
    - cycler: "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}"
    - joiner: "{% set j = joiner('|') %}{{ j() }}1{{ j() }}2{{ j() }}3"
    - elif: "{% if false %}1{% elif 1 > 2 %}2{% else %}3{% endif %}"
    - tuple: "{% set a, b = 1, 2 %}{{ a }}{{ b }}"
    - ws: "a   {%- if true -%}   b   {%- endif +%}   c"
    - insalt: "{{ 'pillar.get' in salt }} {{ 'no.such' in salt }} {{ salt['pillar.get'] is defined }}"
    - inline: "{{ 'y' if data.extra is defined and data.extra == 1 else 'n' }}"
    - trailing: {{ [1, 2,] | json }}
