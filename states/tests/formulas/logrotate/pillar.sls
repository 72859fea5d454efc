# apply: logrotate
logrotate:
  default_config:
    weekly: true
    rotate: 8
    create: true
    compress: true
  jobs:
    shop:
      path:
        - /var/log/shop/*.log
      config:
        - daily
        - missingok
        - rotate 12
        - create 640 root adm
    old:
      contents: |
        /var/log/old.log {
          monthly
        }
