other:
  test.nop:
    - name: {{ sls }} {{ slspath }} {{ tplfile }} {{ tpldir }} {{ slsdotpath }}
