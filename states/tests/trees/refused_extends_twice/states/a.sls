{% extends 'base.jinja' %}{% extends 'base.jinja' %}
