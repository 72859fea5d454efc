# A small web service: a program, its configuration, its unit and its socket.
{% set greeter = pillar['greeter'] %}

{% if greeter.user != 'root' %}
greeter-user:
  user.present:
    - name: {{ greeter.user }}
    - system: True
    - createhome: False
    - shell: /usr/sbin/nologin
    - require_in:
      - service: greeter
{% endif %}

greeter-program:
  file.managed:
    - name: /usr/local/bin/greeter
    - source: salt://greeter/files/greeter.pl
    - mode: '0755'

# No `watch` on this one: the rule `greeter-config` in pillar (below `mayfly:watch`) restarts the service, after a check.
greeter-config:
  file.managed:
    - name: /etc/greeter/greeter.conf
    - source: salt://greeter/files/greeter.conf
    - template: jinja
    - makedirs: True
    - mode: '0644'

# The socket belongs to the supervisor, not to the program: while the program restarts, connections wait in its queue.
greeter-socket:
  file.managed:
    - name: /etc/systemd/system/greeter.socket
    - source: salt://greeter/files/greeter.socket
    - template: jinja
    - mode: '0644'

greeter-unit:
  file.managed:
    - name: /etc/systemd/system/greeter.service
    - source: salt://greeter/files/greeter.service
    - template: jinja
    - mode: '0644'

greeter:
  service.running:
    - enable: True
    - require:
      - file: greeter-config
    - watch:
      - file: greeter-program
      - file: greeter-socket
      - file: greeter-unit
