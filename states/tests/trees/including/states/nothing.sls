{% if false %}
x: test.nop
{% endif %}
