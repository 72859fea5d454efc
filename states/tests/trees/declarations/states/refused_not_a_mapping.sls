# refused: must be a mapping of IDs
- test.nop
