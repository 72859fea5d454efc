several:
  file.managed:
    - mode: '0644'
    - names:
      - /etc/one
      - /etc/two:
        - mode: '0600'
        - user: app
      - /etc/one
      - /etc/three
single:
  file.absent:
    - name: /etc/four
numbered:
  test.nop:
    - names: [5, true, 1.5]
