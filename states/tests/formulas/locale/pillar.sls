# apply: locale
# differs: tree etc/default/locale.bak: Salt's file.replace leaves a copy
# differs: tree etc/locale.gen.bak: Salt's file.replace leaves a copy
# differs: tree etc/locale.gen:: Salt adds an empty line
locale:
  present:
    - "en_US.UTF-8 UTF-8"
    - "de_AT.UTF-8 UTF-8"
  default:
    name: de_AT.UTF-8
    requires: "de_AT.UTF-8 UTF-8"
