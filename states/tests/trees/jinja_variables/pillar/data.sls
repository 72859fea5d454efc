users:
  ann: {uid: 1, groups: [a, b]}
empty: ~
flag: yes
