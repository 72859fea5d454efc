include: [_base]
extend:
  web:
    service:
      - watch:
        - file: conf
      - reload: false
