# apply: vim
vim:
  managed_vimrc: true
  config:
    syntax: 'on'
