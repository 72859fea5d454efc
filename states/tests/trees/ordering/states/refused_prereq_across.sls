# refused: requisites form a cycle
# refused: by `prereq`
backup:
  cmd.run:
    - name: backup
    - prereq:
      - file: other
      - file: release
release:
  file.managed:
    - name: /srv/release
    - require:
      - file: other
other:
  file.managed:
    - name: /srv/other
