# apply: mysql.server
mysql:
  lookup:
    serverpkg: mariadb-server
    service: mariadb
    config:
      # Debian's my.cnf is a link, which is refused here: see docs/salt-differences.md.
      file: /etc/mysql/mariadb.conf.d/99-shop.cnf
  server:
    root_password: false
    mysqld:
      bind-address: 127.0.0.1
      port: 3307
