include:
  - .conf
  - common.users

app-packages:
  pkg.installed:
    - names:
      - curl
      - git:
        - version: 2.1
      - curl

/etc/app:
  file.directory:
    - user: app
    - mode: 0755
    - order: last

app:
  service.running:
    - enable: True
    - watch:
      - file: /etc/app/app.conf
    - require:
      - pkg: app-packages
  group:
    - present
    - system: true
