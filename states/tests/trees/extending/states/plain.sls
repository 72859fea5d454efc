include: [_base]
extend:
  web:
    service:
      - reload: true
      - enable: false
      - watch:
        - file: own
    pkg:
      - version: '1.2'
own:
  file.managed:
    - name: /etc/nginx/nginx.conf
