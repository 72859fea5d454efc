a:
  {% endwhile %}
