# The same roles as in ../top.sls.
base:
  'role:single':
    - match: grain
    - greeter
    - worker
  'role:web':
    - match: grain
    - greeter
  'role:worker':
    - match: grain
    - worker
