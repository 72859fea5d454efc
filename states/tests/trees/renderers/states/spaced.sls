#! jinja | yaml
spaced:
  test.nop:
    - sum: {{ 1 + 1 }}
