# refused: refused_behind_a_template.sls:14:7: `require` of the ID 'asks'
# refused: 14 |     - require:
{%- set one = 1 %}
{%- set two = 2 %}
{%- for i in range(3) %}
{%- do [].append(i) %}
{%- endfor %}
before:
  test.nop:
    - value: {{ one + two }}
asks:
  test.nop:
    - value: {{ two }}
    - require:
      - test: nobody
