crlf:
  test.nop:
    {% if true %}
    - text: {{ 'a
b' | json }}
    {% endif %}
