#!jinja|yaml
#jinja2: {"trim_blocks": true, "lstrip_blocks": true}
trimmed:
  test.nop:
    {% for item in ['a', 'b'] %}
    - {{ item }}: |
        first
        {% if item == 'a' %}
        only a
        {% endif %}
        last
    {% endfor %}
