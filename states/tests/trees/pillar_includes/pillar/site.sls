include:
  - common
  - accounts/staff
  - database:
      key: services:database
      defaults:
        port: 5432
  - cache
  - queue: {}
  - nothing
who: site
own: {a: 1}
