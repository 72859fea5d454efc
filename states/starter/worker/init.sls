# The other half of a decoupled cluster: fetches work from the web tier through its balancer, and keeps the last answer.
{% set worker = pillar['worker'] %}

{% if worker.user != 'root' %}
worker-user:
  user.present:
    - name: {{ worker.user }}
    - system: True
    - createhome: False
    - shell: /usr/sbin/nologin
    - require_in:
      - file: worker-data
      - service: worker
{% endif %}

worker-data:
  file.directory:
    - name: /var/lib/worker
    - user: {{ worker.user }}
    - mode: '0755'

worker-program:
  file.managed:
    - name: /usr/local/bin/worker
    - source: salt://worker/files/worker.pl
    - mode: '0755'

worker-config:
  file.managed:
    - name: /etc/worker/worker.conf
    - source: salt://worker/files/worker.conf
    - template: jinja
    - makedirs: True
    - mode: '0644'

worker-unit:
  file.managed:
    - name: /etc/systemd/system/worker.service
    - source: salt://worker/files/worker.service
    - template: jinja
    - mode: '0644'

worker:
  service.running:
    - enable: True
    - require:
      - file: worker-config
      - file: worker-data
    - watch:
      - file: worker-program
      - file: worker-unit
