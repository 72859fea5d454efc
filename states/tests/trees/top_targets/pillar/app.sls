app:
  name: Shop
  ports: [80, 443]
