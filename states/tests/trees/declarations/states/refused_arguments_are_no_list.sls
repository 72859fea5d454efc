# refused: must be a list
broken:
  file.managed:
    name: /etc/x
