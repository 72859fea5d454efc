commands:
  test.nop:
    - no_shell: {{ salt['cmd.run']('echo a; echo b') | json }}
    - dotted: {{ salt.cmd.run('echo "a  b"') | json }}
    - in_shell: {{ salt['cmd.shell']('echo 1; echo 2 >&2; echo 3  ') | json }}
    - asked: {{ salt['cmd.run']('echo 1; echo 2 >&2', python_shell=True, redirect_stderr=False) | json }}
    - list: {{ salt['cmd.run_stdout'](['echo', 'a b', 'c']) | json }}
    - code: {{ [salt['cmd.retcode']('false'), salt['cmd.retcode']('exit 3', python_shell=True), salt['cmd.retcode']('exit 3', python_shell=True, success_retcodes=[3])] | json }}
    - env: {{ salt['cmd.run']('echo $A $LC_TIME', python_shell=True, env={'A': 1}) | json }}
    - env_list: {{ salt['cmd.run_stdout']('echo $A$B', python_shell=True, env=[{'A': 'x'}, {'B': 'y'}]) | json }}
    - stdin: {{ salt['cmd.run_stdout']('cat', stdin='typed') | json }}
    - cwd: {{ salt['cmd.run']('pwd', cwd='/usr') | json }}
    - unstripped: {{ salt['cmd.run']('echo a', rstrip=False) | json }}
    {%- set all = salt['cmd.run_all']('echo o; echo e >&2; exit 2', python_shell=True) %}
    - all: {{ [all.retcode, all.stdout, all.stderr, all.pid > 0] | json }}
    - hidden: {{ salt['cmd.run']('echo secret', hide_output=True) | json }}
    - which: {{ [salt['cmd.has_exec']('sh'), salt['cmd.has_exec']('no-such-program'), salt['cmd.which']('no-such-program'), salt['cmd.which_bin'](['no-such-program', 'sh']) == salt['cmd.which']('sh')] | json }}
    - code_of: {{ salt['cmd.exec_code']('sh', 'echo 5; echo 6') | json }}
files:
  test.nop:
    - there: {{ [salt['file.file_exists']('/etc/passwd'), salt['file.file_exists']('/etc'), salt['file.directory_exists']('/etc'), salt['file.directory_exists']('/nope'), salt['file.path_exists_glob']('/etc/pass*'), salt['file.path_exists_glob']('/etc/nope*'), salt['file.is_link']('/etc/passwd'), salt['file.access']('/etc/passwd', 'r'), salt['file.access']('/nope', 'f')] | json }}
    - owner: {{ [salt['file.get_user']('/etc/passwd'), salt['file.get_group']('/etc/passwd'), salt['file.get_uid']('/etc/passwd'), salt['file.get_gid']('/etc/passwd'), salt['file.get_mode']('/etc/passwd'), salt['file.stats']('/etc/passwd').type, salt['file.stats']('/etc').mode, salt['file.lstat']('/nope'), salt['file.uid_to_user'](0), salt['file.user_to_uid']('root'), salt['file.user_to_uid']('no-such-user'), salt['file.gid_to_group'](0), salt['file.group_to_gid']('root'), salt['file.gid_to_group'](987654)] | json }}
    - text: {{ [salt['file.contains']('/etc/passwd', 'root'), salt['file.contains']('/nope', 'root'), salt['file.contains_regex']('/etc/passwd', '^root:.*:0:'), salt['file.contains_glob']('/etc/passwd', '*root*'), salt['file.search']('/etc/passwd', '^root:'), salt['file.grep']('/etc/passwd', '^root:', '-c').stdout, salt['file.get_sum']('/nope'), salt['file.readdir']('/etc')[:2], salt['file.read']('/etc/passwd').startswith('root')] | json }}
    - find: {{ [salt['file.find']('/etc', name='passwd', maxdepth=1), salt['file.find']('/etc', name='passwd', type='f', maxdepth=1, print='name,type,user'), salt['file.find']('/etc', nope='x')] | json }}
accounts:
  test.nop:
    - root: {{ salt['user.info']('root') | json }}
    - nobody: {{ [salt['user.info']('no-such-user'), salt['group.info']('no-such-group'), salt['group.info']('root'), salt['user.list_groups']('root'), salt['user.primary_group']('root'), salt['user.list_groups']('no-such-user'), salt['shadow.info']('no-such-user')] | json }}
others:
  test.nop:
    - versions: {{ [salt['pkg.version_cmp']('1.0', '1.1'), salt['pkg.version_cmp']('1:1.0', '1.1'), salt['pkg.version_cmp']('1:1.0', '1.1', ignore_epoch=True), salt['pkg.version_cmp']('1.0~rc1', '1.0'), salt['pkg.version']('no-such-package'), salt['pkg.version']('a-b', 'c-d')] | json }}
    - environment: {{ [salt['environ.get']('NO_SUCH_VARIABLE'), salt['environ.get']('NO_SUCH_VARIABLE', 'd'), salt['environ.get'](5), salt['environ.has_value']('NO_SUCH_VARIABLE'), salt['environ.item']('NO_SUCH_VARIABLE')] | json }}
    - network: {{ [salt['network.interface_ip']('lo'), salt['network.hw_addr']('lo'), salt['network.ip_addrs']('lo'), salt['network.ip_addrs']('lo', include_loopback=True), salt['network.interface']('lo')[0].netmask] | json }}
    - alternatives: {{ [salt['alternatives.show_current']('no-such-name'), salt['alternatives.check_installed']('no-such-name', '/x')] | json }}
    - services: {{ [salt['service.available']('no-such-service'), salt['service.missing']('no-such-service'), salt['service.status']('no-such-service'), salt['service.enabled']('no-such-service')] | json }}
    - kernel: {{ salt['sysctl.get']('kernel.ostype') | json }}
    - mounts: {{ [salt['mount.is_mounted']('/proc'), salt['mount.is_mounted']('/nope'), salt['mount.active']()['/proc'].fstype] | json }}
