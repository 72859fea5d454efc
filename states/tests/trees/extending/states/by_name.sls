include: [_base]
extend:
  many names:
    test:
      - extended: true
