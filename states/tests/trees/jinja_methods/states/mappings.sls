{% set ports = {'http': 80} %}
{% set live = ports.keys() %}
{% do ports.update({'https': 443}, ssh=22) if false else ports.update(https=443) %}
{% set previous = ports.setdefault('ssh', 22) %}
{% do ports.setdefault('extra', []).append('x') %}
{% set gone = ports.pop('nothing', 'default') %}
{% set copy = ports.copy() %}{% do copy.extra.append('y') %}{% do copy.pop('http') %}
mappings:
  test.nop:
    - live keys: {{ (live | list) | string | json }}
    - ports: {{ (ports) | string | json }}
    - copy: {{ (copy) | string | json }}
    - gone: {{ (gone) | string | json }}
    - previous: {{ (previous) | string | json }}
    - last: {{ (copy.popitem()[0]) | string | json }}
    - items: {{ (ports.items() | list) | string | json }}
    - difference: {{ ((ports.keys() - ['http', 'https', 'extra']) | list) | string | json }}
    - method before item: {{ ({'items': 5}['items']) | string | json }}
    - fromkeys: {{ (dict.fromkeys(['a', 'b'], 0)) | string | json }}
    - ordered: {{ (odict([('b', 1), ('a', 2)])) | string | json }}
    - lines: {{ ({'text': 'one\ntwo', 'quote': "it's"}) | string | json }}
    - number key: {{ ({1: 'one'}[true]) | string | json }}
