base:
  '*':
    - every
  'web-[0-9].*':
    - match: glob
    - numbered
  'db-1.example.com,web-1.example.com':
    - match: list
    - listed
  'web-\d+\.':
    - match: pcre
    - by_regex
  'os:debian':
    - match: grain
    - debian
  'roles:c*':
    - match: grain
    - cached
  'ec2:region:eu-*':
    - match: grain
    - region
  'ec2:reg*':
    - match: grain
    - region_key
  'osmajorrelease:12':
    - match: grain
    - release
  '*:shop':
    - match: grain
    - teams
  'ec2:region:(eu|us)-\w+-[12]$':
    - match: grain_pcre
    - regex_grain
  'role:^(?!db)':
    - match: grain_pcre
    - not_db
  'app:name:shop':
    - match: pillar
    - shop
  'app:ports:44\d':
    - match: pillar_pcre
    - port
  'app:name:Shop':
    - match: pillar_exact
    - exact
  'app:name:S*':
    - match: pillar_exact
    - never
  'role:(':
    - match: grain_pcre
    - never
  'role':
    - match: grain
    - never
  'web':
    - match: list
    - never
  'eb-1':
    - match: pcre
    - never
  1:
    - never
  'somewhere':
    - match: range
    - never
