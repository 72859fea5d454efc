base:
  '*':
    - plain
    - data
    - combined
    - old
    - twice
    - spaced
    - empty_json
    - shell
