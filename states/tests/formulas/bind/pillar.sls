# apply: bind, bind.config
bind:
  lookup:
    service: named
  config:
    options:
      listen-on: 'port 5356 { 127.0.0.1; }'
  configured_zones:
    example.org:
      type: master
      notify: false
  available_zones:
    example.org:
      file: db.example.org
      soa:
        ns: ns1.example.org
        contact: hostmaster.example.org
        serial: 2026010101
      records:
        A:
          www: 10.0.0.7
        NS:
          '@':
            - ns1
