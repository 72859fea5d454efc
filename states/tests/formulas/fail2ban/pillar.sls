# apply: fail2ban
fail2ban:
  config:
    loglevel: INFO
  jails:
    sshd:
      enabled: false
