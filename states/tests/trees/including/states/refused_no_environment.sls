# refused: the environment 'prod' has no file root
include:
  - prod: app
