include: [missing.sls_name]
a:
  test.nop: []
