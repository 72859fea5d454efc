# How lists and mappings may be laid out.
blocks:
  test.nop:
    - indented:
        - a
        - - b
          - c
        -
          - d
        - key: value
          other: value
    - level:
      - a
      - b: [c]
      - - d
    - empty_items:
        -
        - x
    - empty_values:
        a:
        b: {}
        c: []
    -   wide:     spaces
    - deep:
           a:
              b:
                 - c

flow:
  test.nop:
    - list: [a, b c, 'd', "e", [f], {g: h}, ]
    - mapping: {a: 1, "b":2, 'c' : 3, d, e: , ? f : g, h:i}
    - pairs: [a: 1, b: [c: 2], ? d : e, "f":g]
    - urls: [http://x/y, a:b, {u: http://x/y}]
    - lines: [a,
        b, # a comment
        c
      d]
    - hashes: [a#b, c]

keys:
  test.nop:
    - kinds:
        1: whole
        2.5: fraction
        no: truth
        ~: nothing
        '': empty
        2001-02-03: day
        a b: spaced
        "quoted": q
        =: equals
    - asked:
        ? a
        : b
        ? |
          c
        : - d
    - long:
        this key has many words in it: and a value

"quoted id":
  test.nop: []
