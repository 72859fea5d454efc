{% if true %}{% break %}{% endif %}
