x:
  test.nop:
    - a: {{ salt['grains.filter_bye']({}) }}
