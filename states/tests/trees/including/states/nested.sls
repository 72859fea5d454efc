include: [app]
own: test.nop
