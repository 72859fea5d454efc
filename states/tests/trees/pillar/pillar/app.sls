include:
  - shared
  - sub.inner:
      key: nested:under
      defaults:
        given: from-defaults
app:
  port: 80
  hosts: [a, b]
  deep: {x: 1, y: {z: 2}}
  lookup:
    pkg: custom
ports:
  80: http
