# apply: hostsfile, hostsfile.hostname
hostsfile:
  only:
    127.0.0.1:
      - localhost
  pillar_only: true
  hosts:
    db1: 10.0.0.7
    db2:
      - 10.0.0.8
      - 10.0.0.9
