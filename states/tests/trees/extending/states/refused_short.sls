# refused: must hold states
include: [_base]
extend:
  more: test.nop
