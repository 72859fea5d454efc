app:
  port: 1
  shared: yes
  hosts: [only-here]
  deep: {y: {w: 3}}
