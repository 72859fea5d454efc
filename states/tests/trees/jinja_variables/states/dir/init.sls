{% set names = ['sls', 'slspath', 'slsdotpath', 'slscolonpath', 'sls_path', 'tpldir', 'tplfile', 'tpldot', 'saltenv'] %}
variables of {{ sls }}:
  test.nop:
    - sls: {{ sls }}
    - slspath: "{{ slspath }}"
    - slsdotpath: "{{ slsdotpath }}"
    - slscolonpath: "{{ slscolonpath }}"
    - sls_path: "{{ sls_path }}"
    - tpldir: "{{ tpldir }}"
    - tplfile: {{ tplfile }}
    - tpldot: "{{ tpldot }}"
    - tplpath: {{ tplpath.split('/')[-1] }}
    - environment: {{ saltenv }}
    - id: {{ opts.id }} {{ grains.id }} {{ opts['file_client'] }} {{ opts.test }}
    - opts saltenv: {{ opts.saltenv }}
    - context: {{ show_full_context() is mapping }} {{ 'grains' in show_full_context() }}
    - self: {{ self is defined }} {{ loop is defined }} {{ caller is defined }}
    - salt: {{ 'test.ping' in salt }} {{ salt.get('no.such') }} {{ salt.test.echo('x') }}
{% from './near.jinja' import near with context %}
{% from 'shared/tools.jinja' import where with context %}
    - imported: {{ where }}
    - near: {{ near }}
    - include: {% include 'shared/part.jinja' %}

