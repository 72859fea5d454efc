# apply: varnish
varnish: {}
