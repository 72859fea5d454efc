base:
  '*': [scalars]
