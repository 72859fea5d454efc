# apply: supervisor
supervisor: {}
