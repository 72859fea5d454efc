feature: {{ salt['grains.get']('role') }}
