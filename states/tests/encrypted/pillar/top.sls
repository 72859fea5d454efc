base:
  '*':
    - plain
    - gpg
    - template
