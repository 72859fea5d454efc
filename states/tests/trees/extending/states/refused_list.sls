# refused: `extend` must be a mapping
extend:
  - more
