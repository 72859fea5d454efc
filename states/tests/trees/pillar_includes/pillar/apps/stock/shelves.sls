shelves: 4
