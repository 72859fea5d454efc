#!jinja
a: test.nop
