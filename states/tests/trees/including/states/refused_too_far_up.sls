# refused: leads out of the file root
include:
  - ..nowhere
