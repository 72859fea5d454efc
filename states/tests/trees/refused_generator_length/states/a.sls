{% set names = ['a'] | map('upper') %}
{{ names | length }}: test.nop
