include:
  - app.*
  - oth*
