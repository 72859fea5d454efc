include: [itself]
own: test.nop
