# refused: the SLS 'nowhere' is not in the environment 'base'
include:
  - .nowhere
