{% set rows = salt['mysql.query']('db', 'select 1') %}
x:
  test.nop: []
