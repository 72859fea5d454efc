# refused: must hold states
broken: nop
