base:
  webs:
    - match: nodegroup
    - webs
  names:
    - match: nodegroup
    - names
  spaced:
    - match: nodegroup
    - spaced
  expression:
    - match: nodegroup
    - expression
  live:
    - match: nodegroup
    - live
  listed:
    - match: nodegroup
    - listed
  loop:
    - match: nodegroup
    - loop
  databases:
    - match: nodegroup
    - never
  lost:
    - match: nodegroup
    - never
  unknown:
    - match: nodegroup
    - never
  'N@webs and N@names':
    - compound
  'not N@databases':
    - negated
