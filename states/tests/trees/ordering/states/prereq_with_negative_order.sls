id4:
  user.present:
    - prereq:
      - id: /etc/x10.conf
pkg-9:
  cmd.wait: []
  file.directory:
    - prereq:
      - test: /etc/x10.conf
/etc/x10.conf:
  test.succeed_without_changes:
    - order: -1
