# apply: stunnel
stunnel:
  services: {}
