base:
  'G@ec2:region:eu-* and G@role:web':
    - match: compound
    - europe
  'ec2:instance_type:t4g.*':
    - match: grain
    - small
  'ec2:availability_zone:.*[ab]$':
    - match: grain_pcre
    - zone
  'G@ec2:region:us-* or G@environment:production':
    - match: compound
    - elsewhere
