stop:
  cmd.run:
    - name: systemctl stop web
    - prereq:
      - file: release
drain:
  cmd.run:
    - name: drain
    - prereq:
      - cmd: stop
release:
  file.managed:
    - name: /srv/release
    - require:
      - test: gate
      - file: other
other:
  file.managed:
    - name: /srv/other
gate: test.nop
backup:
  cmd.run:
    - name: backup
    - prereq:
      - file: release
      - file: third
third:
  file.managed:
    - name: /srv/third
