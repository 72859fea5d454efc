# {{ 'Templates are run inside of YAML comments too' }}
kept:
  test.nop:
    - text: |
        {{ 'ends with a line' }}

        {% set x = 1 %}

        end
