# A bare name that is nobody's is left out.
alone:
  test.nop:
    - require_in:
      - nobody
    - watch_in:
      - neither
