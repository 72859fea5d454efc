extra: true
