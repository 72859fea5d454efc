include: [_base]
extend:
  web:
    file:
      - managed
      - name: /etc/added
    pkg:
      - refresh: true
