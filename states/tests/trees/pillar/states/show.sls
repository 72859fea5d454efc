show:
  test.nop:
    - all: {{ salt['pillar.items']() | json }}
    - got: {{ salt['pillar.get']('app:port', 1) }}
    - list: {{ pillar['app']['hosts'] | join(',') }}
    - default: {{ salt['pillar.get']('nope:x', {'a': 1}) | json }}
    - merged: {{ salt['pillar.get']('app', {'port': 2, 'extra': {'z': 1}}, merge=True) | json }}
    - config: {{ salt['config.get']('role') }} {{ salt['config.get']('app:port') }}
    - filter: {{ salt['grains.filter_by']({'Debian': {'pkg': 'apache2'}, 'RedHat': {'pkg': 'httpd'}, 'default': {'a': {'b': 1}}}, merge=pillar['app'].get('lookup'), base='default') | json }}
    - int_key: {{ pillar.ports[80] }}
