# refused: must be a mapping of IDs
nothing to see
