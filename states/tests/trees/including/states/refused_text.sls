# refused: `include` must be a list
include: app
