include: [_things]
service:
  service.running:
    - name: svc
    - listen:
      - file: three
told:
  file.managed:
    - name: /etc/told
    - listen_in:
      - service: service
      - service: svc
