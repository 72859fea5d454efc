base:
  '*': [q]
