include:
  - .prices
  - .stock
shop: {open: true}
