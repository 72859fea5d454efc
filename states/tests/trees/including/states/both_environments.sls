include:
  - app
  - dev: app
