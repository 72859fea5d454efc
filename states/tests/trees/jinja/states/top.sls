base:
  '*': [expr, flow, imports.main]
