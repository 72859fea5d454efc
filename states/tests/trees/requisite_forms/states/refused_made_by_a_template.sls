# refused: refused_made_by_a_template.sls:6:
# refused: the line shown is what the template made of its own
{%- set name = 'nobody' %}
asks:
  test.nop:
    - {{ 'require' }}: [{test: {{ name }}}]
