a:
  test.nop:
    - mode: {{ 0644 }}
