# refused: names `sls: nowhere`, which is not part of this run
asks:
  test.nop:
    - require:
      - sls: nowhere
