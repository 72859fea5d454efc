base:
  '*':
    - variables
    - loops
    - macros
