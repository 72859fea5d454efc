# apply: nginx
nginx:
  snippets:
    blocked.conf:
      - map $http_user_agent $blocked:
          - default: 0
          - '~*^Lynx': 1
  server:
    config:
      worker_processes: 2
      http:
        sendfile: 'on'
        include:
          - /etc/nginx/mime.types
          - /etc/nginx/conf.d/*.conf
          - /etc/nginx/sites-enabled/*
  servers:
    managed:
      default:
        enabled: false
        config: []
      shop:
        enabled: true
        config:
          - server:
              - server_name: shop.example.org
              - listen:
                  - '8081 default_server'
              - location /:
                  - return: 204
