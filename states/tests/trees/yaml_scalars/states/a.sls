# What plain and quoted words become.
switches:
  test.nop:
    - yes: [yes, Yes, YES, true, True, TRUE, on, On, ON]
    - no: [no, No, NO, false, False, FALSE, off, Off, OFF]
    - words: [y, n, Y, N, yEs, nO, tRUE, none, None]
    - nothing: [~, null, Null, NULL, ]
    - almost: [nULL, ~x, 'null', "~"]

numbers:
  test.nop:
    - whole: [0, 1, -1, +1, 1_000, 0x1F, 0xff_ff, 0b101, -0b11]
    - leading_zeros: [00, 0644, 0755, 007, 0000644, -012, +012]
    - no_octal: [08, 09, 0o17, 0b2, 0xG]
    - sixties: [190:20:30, 1:2, 1:59, 1:60, 01:30, '12:30']
    - fractions: [1.5, .5, 5., 1_0.5_0, 1.0e+3, 1.0E-3, .5e+3, -1.5, 190:20:30.15]
    - no_fractions: [1e3, 1.0e3, 1e+3, -.5, +.5, 1.2.3, ., ._5]
    - mode: 0644
    - port: 8080
    - version: 1.10

dates:
  test.nop:
    - day: 2001-02-03
    - moment: 2001-02-03T04:05:06Z
    - spaced: 2001-02-03 04:05:06.7 +01:00
    - no_date: 2001-2-3

quotes:
  test.nop:
    - single: 'it''s \n raw'
    - double: "tab\t quote\" back\\ \x41\u263A\N\_"
    - folded: "one
        two

        three \
        four"
    - padded: '  kept  '
    - numbers: ['1', "0644", 'yes']
    - empty: ['', ""]

plain:
  test.nop:
    - colons: http://example.com:80/a?b=c&d=%20#e
    - hash: a#b # a comment
    - dashes: [-a, --b, a-b]
    - windows: C:\temp
    - lines: first
        second

        third
    - other: a:b
    - percent: a%b@c`d
    - unicode: Grüße aus 東京
    - equals: a=b

tags:
  test.nop:
    - text: [!!str 1, !!str yes, !!str , ! x]
    - whole: [!!int "12", !!int '0x1F', ! 12]
    - fraction: [!!float 3, !!float 1e3]
    - truth: [!!bool "yes", !!bool 'oFF']
    - nothing: !!null anything
    - moment: !!timestamp today
