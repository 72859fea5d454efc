dev-app: test.nop
