include: [_base]
extend:
  conf:
    file:
      - name: /etc/c
