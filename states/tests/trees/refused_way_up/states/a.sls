{% from 'sub/../lib.jinja' import x %}
