included: true
