# apply: timezone
timezone:
  name: Europe/Vienna
  utc: true
