a:
  test.nop:
    - x: {{ "{{ y }}" }}
