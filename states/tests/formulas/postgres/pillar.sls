# apply: postgres
postgres:
  use_upstream_repo: false
  version: '15'
  postgresconf: |
    max_connections = 20
