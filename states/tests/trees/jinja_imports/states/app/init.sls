{% set colour = 'red' %}
{% import 'app/lib.jinja' as lib %}
{% from 'app/lib.jinja' import names, greet as hello, nothing %}
{% from './lib.jinja' import seen with context %}
{% from tpldir ~ '/map.jinja' import settings with context %}
{% do lib.names.append('added') %}
{% import_yaml 'app/data.yaml' as data %}
{% import_yaml 'app/data.yaml' as coloured with context %}
{% import_json 'app/data.json' as numbers %}
{% import_text 'app/note.txt' as note %}
app:
  test.nop:
    - shared list: {{ names }}
    - greeting: {{ hello('you') }}
    - nothing: {{ nothing is defined }}
    - private: {{ lib._hidden is defined }}
    - without context: {{ lib.seen }}
    - with context: {{ seen }}
    - module text: {{ lib | string | trim }}
    - settings: {{ settings }}
    - data: {{ data }}
    - coloured: {{ coloured.colour }}
    - numbers: {{ numbers }}
    - note: {{ note | json }}
    - in loop: "{% for n in [1, 2] %}{% from 'app/loop.jinja' import square with context %}{{ square }} {% endfor %}"
    - included: "{% include 'app/part.jinja' %}"
    - included alone: "{% include 'app/part.jinja' without context %}"
    - included first: "{% include ['app/none.jinja', 'app/part.jinja'] %}"
    - ignored: "{% include 'app/none.jinja' ignore missing %}"
    - after include: {{ shade is defined }}
