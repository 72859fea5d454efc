dots: test.nop
