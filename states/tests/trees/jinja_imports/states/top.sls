base:
  '*':
    - app
    - app.extra
