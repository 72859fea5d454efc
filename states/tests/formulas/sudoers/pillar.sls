# apply: sudoers, sudoers.included
sudoers:
  users:
    anna:
      - 'ALL=(ALL) ALL'
  groups:
    sudo:
      - 'ALL=(ALL) ALL'
  defaults:
    generic:
      - env_reset
      - secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    user_list:
      ADMINS: '!lecture'
  aliases:
    users:
      ADMINS:
        - anna
        - ben
    commands:
      PROCESSES:
        - /bin/kill
        - /usr/bin/nice
  includedir: /etc/sudoers.d
  included_files:
    /etc/sudoers.d/extra:
      users:
        ben:
          - 'ALL=(ALL) ALL'
    crew:
      groups:
        crew:
          - 'ALL=(ALL) NOPASSWD: ALL'
