# Block scalars: indentation, folding, and the line breaks at their end.
literal:
  test.nop:
    - clip: |
        one
          two

        three

    - strip: |-
        one

    - keep: |+
        one

    - indented: |2
          two more than its key
        less
    - both: |1-
         x
    - both_turned: |-1
         x
    - comment: | # not a part
        # a part
        x
    - empty: |
    - blank_lines: |

        x
    - tabs: |
        a	b
        	c
    - jinja: |
        {{ 'rendered' }}

folded:
  test.nop:
    - clip: >
        one
        two

        three
    - more_indented: >
        one
          two
          three
        four
    - strip: >-
        one

        two


        three
    - keep: >+
        one

    - spaced: >
        one
         two

        three
last:
  test.nop:
    - end: |
        no line break behind it