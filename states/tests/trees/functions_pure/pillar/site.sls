nginx:
  workers: 4
  sites: [a, b]
  tls: {strong: true, ports: [443]}
listen: {8080: numeric}
users:
  - name: ann
    uid: 1
  - name: bob
    shell: /bin/sh
master:
  from_master: yes please
manage: true
web:
  port: 80
