# apply: haproxy
haproxy:
  enabled: true
  overwrite: true
  global:
    user: haproxy
    group: haproxy
    daemon: true
    chroot:
      enable: false
  defaults:
    mode: http
    timeouts:
      - client 10s
      - connect 1s
      - server 10s
  frontends:
    web:
      bind: '127.0.0.1:8082'
      default_backend: shop
  backends:
    shop:
      balance: roundrobin
      servers:
        one:
          host: 127.0.0.1
          port: 8081
          check: check
