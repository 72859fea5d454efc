base:
  '*': [show]
