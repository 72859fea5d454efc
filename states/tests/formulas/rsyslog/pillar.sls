# apply: rsyslog
rsyslog:
  exclusive: false
  listentcp: false
  custom:
    - salt://50-shop.conf
