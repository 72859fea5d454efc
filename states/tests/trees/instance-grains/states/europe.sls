region:
  test.nop:
    - region: {{ grains['ec2']['region'] }}
    - again: {{ grains.ec2.region }}
    - absent: {{ grains['ec2'].get('public_ipv4', 'none') }}
    - finger: {{ grains['osfinger'] }}
