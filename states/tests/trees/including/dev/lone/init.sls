lone: test.nop
