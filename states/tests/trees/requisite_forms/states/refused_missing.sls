# refused: refused_missing.sls:6:7: `require` of the ID 'asks' in SLS 'refused_missing' names `test: nobody`
# refused: which is not part of this run
# refused: check the spelling
asks:
  test.nop:
    - require:
      - test: nobody
