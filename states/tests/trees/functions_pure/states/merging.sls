{%- set a = {'x': {'p': 1, 'l': [1]}, 'y': 1} %}
{%- set b = {'x': {'q': 2, 'l': [2]}, 'z': 3} %}
slsutil:
  test.nop:
    - merged: {{ salt['slsutil.merge'](a, b) | json }}
    - lists: {{ salt['slsutil.merge'](a, b, merge_lists=True) | json }}
    - unknown: {{ salt['slsutil.merge'](a, b, strategy='nonsense') | json }}
    - all: {{ salt['slsutil.merge_all']([a, b, {'y': 9}]) | json }}
    - untouched: {{ a | json }}
    - updated: {{ salt['slsutil.update']({'x': {'p': 1}}, {'x': {'q': 2}}, recursive_update=False) | json }}
    - truth: {{ [salt['slsutil.boolstr'](1), salt['slsutil.boolstr']('', 'on', 'off')] | json }}
defaults:
  test.nop:
    - merged: {{ salt['defaults.merge']({'x': {'p': 1}}, {'x': {'q': 2}}) | json }}
    - {% set own = {'x': 1} -%}
      none: {{ salt['defaults.merge'](own, none) | json }}
    - {% do salt['defaults.merge'](own, {'y': 2}, in_place=False) -%}
      own: {{ own | json }}
    - updated: {{ salt['defaults.update']({'a': {'p': 1, 'l': [1]}, 'b': {}}, {'p': 0, 'l': [0], 'q': 5}) | json }}
    - file: {{ salt['defaults.get']('web:server:port') | json }}
    - whole: {{ salt['defaults.get']('web') | json }}
    - absent: {{ salt['defaults.get']('web:server:none', 'd') | json }}
