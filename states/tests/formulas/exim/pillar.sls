# apply: exim
exim:
  files:
    exim4.conf:
      dc_eximconfig_configtype: local
      dc_other_hostnames: web1.example.org
      dc_local_interfaces: 127.0.0.1
