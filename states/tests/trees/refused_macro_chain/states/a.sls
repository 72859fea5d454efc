{% from 'lib.jinja' import m %}
a:
  x: {{ m() }}
