# refused: declares the state 'file' twice
broken:
  file.managed:
    - name: /etc/x
  file.append:
    - text: x
