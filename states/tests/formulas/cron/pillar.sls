# apply: cron
cron:
  enabled: true
  tasks:
    clean:
      type: present
      name: /usr/bin/true
      user: root
      minute: 5
      hour: 4
      comment: clean up
    sweep:
      type: present
      name: /bin/echo sweep
      user: root
      minute: '*/10'
    nothing:
      type: absent
      name: /bin/false
      user: root
