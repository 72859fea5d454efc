# refused: has a blank in it
# refused: if it is an argument, it needs a colon
broken:
  file.managed:
    - mode 0644
