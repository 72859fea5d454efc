# apply: memcached, memcached.config
memcached:
  memory: 32
  port: 11311
  listen: 127.0.0.1
