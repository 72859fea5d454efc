both:
  test.nop: []
