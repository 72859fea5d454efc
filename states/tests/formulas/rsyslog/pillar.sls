# apply: rsyslog
rsyslog:
  exclusive: false
  listentcp: false
  custom:
    - 50-shop.conf
