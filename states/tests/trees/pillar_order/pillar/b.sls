v: b
b: 1
a: {x: 2, y: 2}
