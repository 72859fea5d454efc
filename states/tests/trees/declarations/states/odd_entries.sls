# What is neither a function nor an argument is left out.
odd:
  test.nop:
    - 5
    - true
    -
    - [a, b]
    - kept: 1
