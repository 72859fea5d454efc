include:
  - .shelves
stock: 3
