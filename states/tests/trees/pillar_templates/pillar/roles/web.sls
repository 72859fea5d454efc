#!yaml
web: '{{ not rendered }}'
