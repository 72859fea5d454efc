{#- A comment that eats the blanks around it. -#}
{%- set items = ['a', 'b'] -%}

control:
  test.nop:
    {%- for item in items %}
    - {{ item }}: "x{{- ' y ' -}}  z"
    {%- endfor %}
    - plus: "a {%+ if true +%} b {%- endif -%}   c"
    - raw: "{% raw -%}  {{ not a variable }}  {%- endraw %}"
    - lines: |
        one
        {% if true %}
        two
        {% endif %}
        three
