v: a
a: {x: 1}
