# refused: the ID 'leaf' is declared twice: in SLS 
# refused: 'app.parts.leaf'
include: [app.parts.leaf]
leaf: test.nop
