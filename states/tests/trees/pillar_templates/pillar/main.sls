{% from 'lib/ports.jinja' import port with context %}
{% import_yaml 'lib/defaults.yaml' as defaults %}
id: {{ grains['id'] }}
opts: {{ opts['id'] }}
port: {{ port('web') }}
defaults: {{ defaults | json }}
family: {{ salt['grains.filter_by']({'Debian': {'pkg': 'apache2'}, 'RedHat': {'pkg': 'httpd'}}) | json }}
sls: {{ sls }} {{ tplfile }} {{ slspath }}|
empty: {{ pillar.get('main', 'nothing') }}
