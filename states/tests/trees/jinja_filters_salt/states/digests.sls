digests:
  test.nop:
    - md5: {{ ('salt' | md5) | string | json }}
    - sha1: {{ ('salt' | sha1) | string | json }}
    - sha256: {{ ('salt' | sha256) | string | json }}
    - sha512: {{ ('salt' | sha512) | string | json }}
    - hmac: {{ ('salt' | hmac_compute('secret')) | string | json }}
    - base64: {{ ('é' | base64_encode | base64_decode) | string | json }}
    - uuid: {{ ('example' | uuid) | string | json }}
    - to_bytes: {{ ('é' | to_bytes) | string | json }}
    - bytes: {{ ('/w==' | base64_decode) | string | json }}
