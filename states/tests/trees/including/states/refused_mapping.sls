# refused: `include` must be a list
include:
  base: app
