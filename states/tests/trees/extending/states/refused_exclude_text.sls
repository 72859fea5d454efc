# refused: `exclude` must be a list
exclude: more
