# refused: `test: x`
# refused: `test: y`
# refused: `test: z`
a:
  test.nop:
    - require: [{test: x}]
b:
  test.nop:
    - watch: [{test: y}]
    - onfail: [{test: z}]
