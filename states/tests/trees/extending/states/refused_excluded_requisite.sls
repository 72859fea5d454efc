# refused: names `id: more`, which is not part of this run
include: [_base]
exclude:
  - id: more
own:
  test.nop:
    - require: [more]
