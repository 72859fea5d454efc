include: [_base]
extend:
  web:
    pkg:
      - latest
    service.dead:
      - sig: nginx
