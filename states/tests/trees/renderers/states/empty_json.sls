#!jinja|json
{% if false %}{"x": 1}{% endif %}
