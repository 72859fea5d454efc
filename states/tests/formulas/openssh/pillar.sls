# apply: openssh, openssh.config, openssh.banner, openssh.auth, openssh.known_hosts, openssh.client
# needs: openssh-server
sshd_config:
  Port: 2222
  HostKey:
    - /etc/ssh/ssh_host_rsa_key
    - /etc/ssh/ssh_host_ed25519_key
  PermitRootLogin: 'no'
  PasswordAuthentication: 'no'
  AllowUsers:
    - anna
    - root
  Subsystem: sftp /usr/lib/openssh/sftp-server
  UsePAM: 'yes'
  matches:
    sftp:
      type:
        Group: sftp
      options:
        ChrootDirectory: /srv/sftp/%u
        X11Forwarding: 'no'
ssh_config:
  Hosts:
    '*':
      StrictHostKeyChecking: 'no'
      ForwardX11: 'no'
openssh:
  auth:
    root-key:
      - user: root
        present: true
        enc: ssh-ed25519
        comment: anna
        name: AAAAC3NzaC1lZDI1NTE5AAAAIN5sYz/Kxf9z2YD0rQblRCV1BvcBG01JQGCnZmiSxWlR
  banner_string: |
    Only for the crew.
  known_hosts:
    omit_ip_address: true
    static:
      git.example.org: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN5sYz/Kxf9z2YD0rQblRCV1BvcBG01JQGCnZmiSxWlR'
