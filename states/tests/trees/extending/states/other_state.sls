# refused: cannot extend 'more'
include: [_base]
extend:
  more:
    file:
      - managed
