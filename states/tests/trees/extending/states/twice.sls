include: [_base, _also]
extend:
  web:
    service:
      - watch:
        - test: more
      - reload: true
