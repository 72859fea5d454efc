# apply: php.fpm, php.xml, php.curl
php:
  version: '8.2'
  fpm:
    service:
      enabled: true
    pools:
      'www.conf':
        enabled: true
        settings:
          www:
            user: www-data
            group: www-data
            listen: /run/php/shop.sock
            pm: static
            pm.max_children: 2
