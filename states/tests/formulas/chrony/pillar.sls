# apply: chrony
chrony:
  ntpservers:
    - 0.pool.example.org
  options: iburst
