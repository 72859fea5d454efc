{%- set data = {'b': [1, {'c': none}], 'a': 'x y', 'l': [1, 2]} %}
serial:
  test.nop:
    - json: {{ salt['slsutil.serialize']('json', data) | json }}
    - indented: {{ salt['slsutil.serialize']('json', data, indent=2, sort_keys=True) | json }}
    - yaml: {{ salt['slsutil.serialize']('yaml', data) | json }}
    - block: {{ salt['slsutil.serialize']('yaml', data, default_flow_style=False) | json }}
    - back: {{ [salt['slsutil.deserialize']('json', '{"a": [1, true]}'), salt['slsutil.deserialize']('yaml', 'a: [1, on]')] | json }}
    - banner: {{ salt['slsutil.banner']() | json }}
    - own_banner: {{ salt['slsutil.banner'](width=60, commentchar='//', borderchar='*', title='Hello', text='Some text that is wrapped around - and well-known words', blockstart='/*', blockend='*/', newline=True) | json }}
hashes:
  test.nop:
    - digests: {{ [salt['hashutil.digest']('a'), salt['hashutil.digest']('a', 'sha512'), salt['hashutil.md5_digest']('ä'), salt['hashutil.sha256_digest'](''), salt['random.hash']('a', 'sha1'), salt['random.hash']('a')] | json }}
    - base64: {{ [salt['hashutil.base64_b64encode']('hello'), salt['hashutil.base64_b64decode']('aGVsbG8='), salt['hashutil.base64_encodestring']('x' * 100), salt['hashutil.base64_decodestring']('aGVs\nbG8=\n'), salt['random.str_encode']('a b')] | json }}
    - hmac: {{ [salt['hashutil.hmac_compute']('a', 'k'), salt['hashutil.hmac_signature']('get salted', 'shared secret', 'eBWf9bstXg+NiP5AOwppB5HMvZiYMPzEM9W5YMm/AmQ='), salt['hashutil.github_signature']('a', 'k', 'sha1=00')] | json }}
    - seeded: {{ [salt['random.seed'](), salt['random.seed'](100), salt['random.seed'](100, 'abc'), salt['random.rand_int'](1, 100, seed='x'), salt['random.rand_int'](1, 1000, 5), salt['random.sample'](['a', 'b', 'c', 'd'], 2, seed='static'), salt['random.shuffle']([1, 2, 3, 4, 5, 6, 7, 8], seed='static'), salt['random.sample'](range(200) | list, 7, seed='s')] | json }}
    - shadow: {{ [salt['random.shadow_hash']('GX.fS3mW', 'secret'), salt['random.shadow_hash']('rounds=2000$abc', 'secret', 'sha256')] | json }}
network:
  test.nop:
    - private: {% for ip in ['10.1.1.1', '172.32.0.1', '192.0.0.9', '100.64.0.1', '2001:db8::1', '2002::1', '::ffff:8.8.8.8'] %}{{ salt['network.is_private'](ip) }} {% endfor %}
    - nets: {{ [salt['network.calc_net']('10.1.2.3/255.255.0.0'), salt['network.calc_net']('10.1.2.3', '20'), salt['network.calc_net']('fe80::1/64'), salt['network.convert_cidr']('10.1.2.3/12'), salt['network.ip_in_subnet']('10.1.2.3', '10.0.0.0/8'), salt['network.ip_in_subnet']('10.1.2.3', '10.0.0.1/8'), salt['network.is_loopback']('127.1.2.3'), salt['network.reverse_ip']('10.1.2.3')] | json }}
tests:
  test.nop:
    - answers: {{ [salt['test.echo']('x'), salt['test.ping'](), salt['test.true'](), salt['test.false'](), salt['test.version'](), salt['test.arg'](1, b=2), salt['test.kwarg'](a=1), salt['test.arg_type'](1, 'a', b=none), salt['test.arg_repr'](1, 'a', b=none), salt['test.fib'](30)[0], salt['test.collatz'](6)[0], salt['test.outputter']([1]), salt['test.try']('test.echo', text=5), salt['test.try']('test.exception', message='x'), salt['log.info']('x'), salt['mine.get']('*', 'network.ip_addrs'), salt['saltutil.sync_all'](), salt['saltutil.sync_modules'](), salt['test.provider']('pkg'), salt['test.provider']('nope')] | json }}
