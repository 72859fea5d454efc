base:
  '10.1.2.3':
    - match: ipcidr
    - address
  '192.168.0.0/16':
    - match: ipcidr
    - network
  '192.168.7.0/255.255.255.0':
    - match: ipcidr
    - netmask
  '10.1.0.0/0.0.255.255':
    - match: ipcidr
    - hostmask
  '0.0.0.0/0':
    - match: ipcidr
    - everything
  '2001:db8::7':
    - match: ipcidr
    - v6
  '2001:DB8:0:0::7':
    - match: ipcidr
    - v6_long
  'fe80::/10':
    - match: ipcidr
    - v6_network
  '10.1.2.3/16':
    - match: ipcidr
    - never
  '172.16.0.0/12':
    - match: ipcidr
    - never
  '10.0.0.0/33':
    - match: ipcidr
    - never
  'web-1':
    - match: ipcidr
    - never
  '2001:db9::/32':
    - match: ipcidr
    - never
