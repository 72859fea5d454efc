include:
  - more_top
base:
  'web-*':
    - order: 5
    - last
  'G@role:web':
    - order: 2
    - a
  '*':
    - b
    - 7
    - a
  'role:web':
    - match: grain
    - ignore_missing: true
    - not_there
    - gentle
  'P@environment:sta.ing':
    - 'a*'
  'db-*':
    - absent
