# apply: dnsmasq
dnsmasq:
  dnsmasq_conf: salt://dnsmasq/files/dnsmasq.conf
  settings:
    port: 5354
    listen-address: 127.0.0.1
    bind-interfaces: true
