{% extends 'base.jinja' %}
