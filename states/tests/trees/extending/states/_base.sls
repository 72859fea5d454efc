include:
  - _more
web:
  pkg.installed:
    - name: nginx
  service.running:
    - name: nginx
    - enable: true
    - watch:
      - pkg: web
conf:
  file.managed:
    - names: [/etc/a, /etc/b]
    - mode: '0644'
