# refused: refused_missing.sls:3:5: the SLS 'nowhere' is not in the environment 'base'
include:
  - nowhere
