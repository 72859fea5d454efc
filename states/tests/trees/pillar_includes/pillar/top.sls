base:
  '*':
    - site
    - apps.shop
    - packages
    - 'extras.*'
