# refused: must hold states
broken:
