# refused: must hold states
# refused: refused_id_holds_a_list.sls:3:
broken:
  - test.nop
