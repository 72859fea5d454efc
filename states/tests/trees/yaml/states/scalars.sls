{% raw %}
scalars:
  test.nop:
    - bools: [yes, No, on, OFF, true, y, n]
    - ints: [0644, 0, 00, 1_000, 0x1F, 0b101, -012, +5, 190:20:30, 0o17, 08, -5]
    - floats: [1.5, 1., .5, 1e3, 1.0e+3, 190:20:30.15, 1_0.5, 6.02E23]
    - nulls: [~, null, Null, '']
    - strings: ['yes', "0644", 1.2.3, 12:30:45pm, "a\tb\u263a", 'it''s']
    - dates: [2001-02-03, 2001-12-14t21:59:43.10-05:00]
    - folded: >
        one
        two

        three
    - literal: |
        one
          two
    - strip: |-
        x
    - keys: {7: a, true: b, 1.5: c, null: d, yes_: e}
    - base: &base {a: 1, b: 2}
    - merged: {<<: *base, b: 3}
    - many:
        <<: [*base, {c: 4}]
        d: 5
    - alias: *base
    - tagged: [!!str 5, !!int "7", !!float 3, !!bool "yes"]
    - url: http://x/y#z
    - hash: a#b
{% endraw %}
