falls-back:
  file.absent:
    - name: 5
listed:
  file.absent:
    - name: [a, b]
nothing:
  file.absent:
    - name:
