# refused: cannot extend 'nobody'
extend:
  nobody:
    test:
      - x: 1
