{% set roles = grains['roles'] %}
base:
  '*':
    - main
{% for role in roles %}
  'roles:{{ role }}':
    - match: grain
    - roles.{{ role }}
{% endfor %}
