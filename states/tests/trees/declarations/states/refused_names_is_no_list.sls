# refused: `names` of the ID 'broken' must be a list
broken:
  file.absent:
    - names: /etc/x
