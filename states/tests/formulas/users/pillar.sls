# apply: users
# needs: openssh-client
groups:
  crew:
    gid: 1500
    system: false
  gone:
    absent: true
users:
  anna:
    fullname: Anna Example
    uid: 1601
    shell: /bin/bash
    password: $6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.
    groups:
      - crew
    user_dir_mode: 750
    ssh_auth:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN5sYz/Kxf9z2YD0rQblRCV1BvcBG01JQGCnZmiSxWlR anna@example.org
    sudouser: true
    sudo_rules:
      - ALL=(root) /usr/bin/find
    sudo_defaults:
      - '!requiretty'
  ben:
    fullname: Ben
    home: /srv/ben
    createhome: true
    prime_group:
      name: workers
      gid: 1700
    roomnumber: B-2
    workphone: "555"
    optional_groups:
      - nobody-has-it
  zoe:
    absent: true
    purge: true
