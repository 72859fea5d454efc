{% from 'imports/lib.jinja' import greet, settings as conf with context %}
{% from './lib.jinja' import greet as g2 %}
{% import 'imports/lib.jinja' as lib %}
{% import_yaml 'imports/data.yaml' as data %}
{% import_json 'imports/data.json' as jdata %}
{% import_text 'imports/data.txt' as text %}
{% set local = 'here' %}
main:
  test.nop:
    - greet: {{ greet('bob') }}
    - g2: {{ g2('al') }}
    - conf: {{ conf | json }}
    - lib: {{ lib.settings.a }} {{ lib.greet('x') }}
    - data: {{ data | json }}
    - jdata: {{ jdata | json }}
    - text: {{ text | json }}
    - inc: "{% include 'imports/part.txt' %}"
    - missing: "{% include 'imports/none.txt' ignore missing %}"
    - choice: "{% include ['imports/none.txt', 'imports/part.txt'] %}"
    - rel: "{% include './part.txt' %}"
    - mapped: {{ lib.mapped | json }}
    - tpl: [{{ tplfile }}, {{ tpldir }}, {{ slspath }}, {{ sls }}]
