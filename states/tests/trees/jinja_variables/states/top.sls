base:
  '*':
    - plain
    - dir
    - dir.other
    - dir.deep.down
    - dir.deep
