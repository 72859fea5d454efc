{% if grains.os == 'Debian' %}{% extends 'layout.jinja' %}{% endif %}
{% block id %}conditional{% endblock %}
