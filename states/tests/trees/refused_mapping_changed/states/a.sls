{% set d = {'a': 1} %}
{% for k in d %}{% do d.update({k ~ k: 1}) %}{% endfor %}
