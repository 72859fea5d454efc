# refused: names several functions: managed, absent
broken:
  file:
    - managed
    - absent
