# refused: names several functions: absent, managed
broken:
  file.managed:
    - absent
