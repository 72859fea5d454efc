include:
  - not_there
gentle: true
