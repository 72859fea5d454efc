#!yaml_jinja
old style:
  test.nop:
    - sum: {{ 1 + 1 }}
