last:
  test.nop:
    - require:
      - sls: reqs
{% for i in range(5, 0, -1) %}
chain{{ i }}:
  test.nop:
  {%- if i < 5 %}
    - require:
      - test: chain{{ i + 1 }}
  {%- else %}
    - x: 1
  {%- endif %}
{% endfor %}
bare:
  test.nop:
    - require:
      - chain1
    - onchanges_in:
      - test: last
