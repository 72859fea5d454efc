base:
  '*':
    - {{ nowhere.sls }}
