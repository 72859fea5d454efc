{% set zone = grains['ec2']['availability_zone'] %}
zone-{{ zone[-1] }}:
  test.nop:
    - zone: {{ zone }}
