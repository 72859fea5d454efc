base:
  'web*':
    - app
  'db*':
    - never
  'web1,web2':
    - match: list
    - by_list
  'role:web':
    - match: grain
    - by_grain
  'roles:ca.*':
    - match: grain_pcre
    - by_pcre
  'nested:a:b:d*':
    - match: grain
    - deep
  'G@role:web and not db*':
    - compound
    - app
  'we[a-z]\d':
    - match: pcre
    - short
