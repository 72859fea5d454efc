{% for i in range(20) %}
step{{ (i * 7) % 20 }}:
  test.nop:
    - order: {{ (i * 13) % 20 }}
  {%- if i % 3 == 0 and i %}
    - require:
      - test: step{{ ((i - 1) * 7) % 20 }}
  {%- elif i % 4 == 1 %}
    - watch:
      - test: step{{ ((i + 2) * 7) % 20 }}
  {%- endif %}
{% endfor %}
