include:
{%- for part in ['app.parts.leaf', 'other'] %}
  - {{ part }}
{%- endfor %}
{%- if grains.os == 'Windows' %}
  - windows
{%- endif %}
