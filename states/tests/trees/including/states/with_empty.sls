include: [empty]
own: test.nop
