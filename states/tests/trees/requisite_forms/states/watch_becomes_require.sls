gate: test.nop
conf:
  file.managed:
    - name: /etc/conf
    - watch:
      - test: gate
    - require:
      - test: other
    - watch_any:
      - test: gate
other: test.nop
