# apply: apt.unattended, apt.preferences, apt.apt_conf
apt:
  unattended:
    allowed_origins:
      - 'origin=Debian,codename=bookworm,label=Debian-Security'
    update_package_lists: 1
    unattended_upgrade: 1
  apt_conf_d:
    99-short:
      'APT::Install-Recommends': 'false'
  preferences:
    00-shop:
      package: 'nginx'
      pin: 'release a=stable'
      priority: 700
