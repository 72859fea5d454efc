# refused: the environment '_xenv'
include:
  - _xenv: other
own: test.nop
