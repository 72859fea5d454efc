{% extends 'mid.jinja' %}
{% set port = 8080 %}
This text is dropped, and {{ nothing_here }} is not looked at.
{% block title %}child of {{ super() }}{% endblock %}
{% block item %}{{ item | default('no item') }}{% endblock %}
{% block scoped_item %}{{ scoped_item | default('none') }}{% endblock %}
{% macro shout(x) %}{{ x | upper }}{% endmacro %}
{% block loud %}{{ shout('loud') }}{% endblock %}
{% block grand %}{{ super.super() }}{% endblock %}
