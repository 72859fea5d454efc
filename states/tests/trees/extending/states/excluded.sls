include: [_base, _also]
exclude:
  - sls: _also
  - id: more
  - _nothing
