#!yaml
# Nothing here is a template.
plain:
  test.nop:
    - text: '{{ not a variable }}'
