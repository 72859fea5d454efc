# apply: redis.server
redis:
  port: 6380
  bind: 127.0.0.1
  snapshots:
    - '900 1'
  lookup:
    svc_state: running
    overcommit_memory: false
