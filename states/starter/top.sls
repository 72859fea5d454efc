# Which role runs what. An instance's role comes from its user-data (`role: web`) and is its grain `role`.
#
#   single   everything on one box
#   web      a stateless pair (or more) behind a load balancer
#   worker   the other half of a decoupled cluster: it speaks to `web` through the balancer only
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
