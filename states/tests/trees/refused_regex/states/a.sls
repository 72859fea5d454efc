a:
  test.nop:
    - x: {{ 'a' | regex_replace('(', '') }}
