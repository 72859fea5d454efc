# refused: names no function
broken:
  file:
    - name: /etc/x
