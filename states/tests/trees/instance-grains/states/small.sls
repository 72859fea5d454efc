{% set major = grains.osrelease_info[0] %}
machine:
  test.nop:
    - major: {{ major }}
    - newer: {{ major > 2 }}
    - addresses: {{ grains['ip4_interfaces']['ens5'] | json }}
    - parameters: {{ grains.kernelparams | json }}
    - secure: {{ grains['efi-secure-boot'] }}
