include: q
a: 1
