tree:
  test.nop:
    - states: {{ salt['cp.list_states']() | json }}
    - files: {{ salt['cp.list_master']() | json }}
    - below: {{ [salt['cp.list_master'](prefix='web/files'), salt['cp.list_master_dirs'](prefix='web/files/'), salt['cp.list_master'](prefix='/linked')] | json }}
    - dirs: {{ salt['cp.list_master_dirs']() | json }}
    - envs: {{ salt['cp.envs']() | json }}
    - text: {{ salt['cp.get_file_str']('salt://web/files/a.conf') | json }}
    - none: {{ salt['cp.get_file_str']('salt://web/none') | json }}
    - hash: {{ salt['cp.hash_file']('salt://web/files/a.conf') | json }}
    - no_hash: {{ salt['cp.hash_file']('salt://web/none') | json }}
    - no_cache: {{ salt['cp.cache_file']('salt://web/none') | json }}
    - exists: {{ [salt['slsutil.file_exists']('web/init.sls'), salt['slsutil.file_exists']('web'), salt['slsutil.dir_exists']('web'), salt['slsutil.path_exists']('web/files'), salt['slsutil.path_exists']('web//files'), salt['slsutil.path_exists']('none')] | json }}
    - up: {{ [salt['slsutil.findup']('web/files', 'defaults.yaml'), salt['slsutil.findup']('web/files', ['none', 'top.sls'])] | json }}
    - rendered: {{ salt['slsutil.renderer']('salt://web/data.jinja') | json }}
    - with: {{ salt['slsutil.renderer']('salt://web/data.jinja', number=5) | json }}
    - string: {{ salt['slsutil.renderer'](string='a: {{ 1 + 2 }}') | json }}
    - as_text: {{ salt['slsutil.renderer'](string='{{ 1 + 2 }} x', default_renderer='jinja') | json }}
    - paths: {{ [salt['file.dirname']('/a/b/'), salt['file.dirname']('//a'), salt['file.basename']('/a/b'), salt['file.join']('/a', 'b', '/c', 'd'), salt['file.join']('a', ''), salt['file.normpath']('/a/./b//../c'), salt['file.normpath']('')] | json }}
