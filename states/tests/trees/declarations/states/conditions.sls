guarded:
  cmd.run:
    - name: make install
    - onlyif: test -e Makefile
    - unless:
      - test -e /usr/local/bin/tool
      - fun: file.file_exists
        path: /usr/local/bin/tool
    - creates:
      - /usr/local/bin/tool
      - /usr/local/bin/other
    - check_cmd:
      - tool --version
    - retry:
        attempts: 3
        interval: 2
        until: true
        splay: 1
    - failhard: true
    - parallel: true
    - reload_modules: true
    - reload_grains: true
    - reload_pillar: false
    - runas: app
    - fire_event: deployed
    - no_log: true
    - aggregate: true
    - umask: '022'
    - timeout: 30
module_form:
  cmd.run:
    - name: 'true'
    - onlyif:
        fun: file.file_exists
        args: [/etc/hosts]
    - unless: 'false'
    - retry: true
