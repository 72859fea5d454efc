z-first:
  file.managed:
    - name: /z
    - require_in:
      - service: svc
      - a-name
    - watch_in:
      - service: svc
a:
  file.managed:
    - name: a-name
    - onchanges:
      - file: z-first
svc:
  service.running:
    - name: svc
    - require:
      - file: a*
    - listen:
      - file: z-first
run:
  cmd.run:
    - name: echo
    - onfail:
      - service: svc
    - onchanges_any:
      - file: a
      - file: z-first
before:
  cmd.run:
    - name: stop
    - prereq:
      - file: target
target:
  file.managed:
    - name: /target
    - require:
      - z-first
donor:
  file.managed:
    - user: root
    - group: wheel
    - mode: 600
taker:
  file.managed:
    - user: bob
    - use:
      - file: donor
giver:
  file.managed:
    - makedirs: true
    - use_in:
      - file: taker
nowatch:
  file.managed:
    - watch:
      - cmd: run
    - require:
      - file: donor
