# apply: postfix, postfix.config
# differs: tree etc/aliases: the lines of other aliases are kept as they are, so the map differs too
postfix:
  manage_master_config: true
  config:
    smtpd_banner: $myhostname ESMTP
    inet_interfaces: loopback-only
    myhostname: web1.example.org
    alias_maps: hash:/etc/aliases
    alias_database: hash:/etc/aliases
  aliases:
    use_file: false
    present:
      root: anna
