{# what is included speaks after this file, and wins where both name one target #}
include:
  - extra.*
  - nothing.like.this
base:
  'G@role:web':
    - a
    - b
    - a
  '*':
    - never
  'db-*':
    - never
  'L@web-1.example.com':
    - order: 3
    - base: c
    - nowhere: c
{% if grains['role'] == 'web' %}
  'E@web':
    - d*
{% endif %}
