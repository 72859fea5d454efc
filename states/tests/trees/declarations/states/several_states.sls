web:
  pkg.installed:
    - name: nginx
  service:
    - running
    - enable: true
    - require:
      - pkg: web
  file.managed:
    - name: /etc/nginx/nginx.conf
    - require:
      - pkg: web
