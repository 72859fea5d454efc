# apply: ntp.ng
ntp:
  ng:
    settings:
      ntpd: true
      ntp_conf:
        server: ['0.pool.example.org', '1.pool.example.org']
        restrict: ['127.0.0.1', '::1']
        driftfile: ['/var/lib/ntp/ntp.drift']
