#!jinja|jinja|yaml
twice:
  test.nop:
    - sum: {{ '{{ 1 + 1 }}' }}
