donor:
  file.managed:
    - name: /etc/donor
    - user: root
    - mode: '0600'
    - require: [gate]
    - onlyif: test -d /etc
    - show_changes: false
gate: test.nop
taker:
  file.managed:
    - name: /etc/taker
    - mode: '0644'
    - use:
      - file: donor
other:
  file.managed:
    - use:
      - file: /etc/donor
giver:
  file.managed:
    - name: /etc/giver
    - makedirs: true
    - use_in:
      - file: other
      - file: taker
named:
  file.managed:
    - names: [/etc/x, /etc/y]
    - use:
      - file: donor
