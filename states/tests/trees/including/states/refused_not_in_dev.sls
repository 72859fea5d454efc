# refused: the SLS 'other' is not in the environment 'dev'
include:
  - dev: other
