# apply: postgres
postgres:
  use_upstream_repo: false
  version: '15'
  # A backup calls salt-call.
  config_backup: ''
  postgresconf: |
    max_connections = 21
