include:
  - app
/etc/app/app.conf:
  file.managed:
    - source: salt://{{ slspath }}/app.conf
    - context:
        sls: {{ sls }}
        tpl: [{{ tpldir }}, {{ tplfile }}, {{ tpldot }}, {{ slsdotpath }}, {{ slscolonpath }}]
    - order: first
