addresses:
  test.nop:
    - is_ip: {{ (['192.168.0.1', '::1', 'x', '10.0.0.1/33', '010.0.0.1', '2001:db8::/32'] | map('is_ip') | list) | string | json }}
    - private: {{ (['192.168.0.1', '8.8.8.8'] | ipv4(options='private')) | string | json }}
    - ipaddr: {{ (['192.168.0.1', 'foo', '::1', '10.0.0.0/8'] | ipaddr) | string | json }}
    - ipv6: {{ ('2001:0db8::0001' | ipv6) | string | json }}
    - host: {{ (['fe80::12/64', '10.0.0.1/8'] | ip_host) | string | json }}
    - hosts: {{ ('192.168.0.1/30' | network_hosts) | string | json }}
    - size: {{ ('192.168.0.1/8' | network_size) | string | json }}
    - wrapped: {{ (['fe80::1', '10.0.0.1'] | ipwrap) | string | json }}
    - networks: {{ ({'eth0': ['10.0.0.1', '1.1.1.1']} | filter_by_networks(['10.0.0.0/8'])) | string | json }}
    - mac: "{{ 'aa:bb:cc:dd:ee:ff' | mac_str_to_bytes }}"
