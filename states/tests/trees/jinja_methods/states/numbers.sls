numbers:
  test.nop:
    - power: {{ (2 ** 3 ** 2) | string | json }}
    - floor: {{ (-7 // 2) | string | json }}
    - modulo: {{ (7.5 % -2) | string | json }}
    - bool: {{ (true + true) | string | json }}
    - plus bool: {{ (+true) | string | json }}
    - real: {{ ((5).real) | string | json }}
    - is_integer: {{ ((5.0).is_integer()) | string | json }}
    - bits: {{ ((5).bit_length()) | string | json }}
    - large: {{ (1e22) | string | json }}
    - small: {{ (1e-5) | string | json }}
    - tiny: {{ (5e-324) | string | json }}
    - infinite: {{ (1e400) | string | json }}
    - hex: {{ (0x1F + 0b101 + 0o17 + 1_000) | string | json }}
    - chain: {{ (1 < 2 < 3 != 4) | string | json }}
    - equal: {{ (1 == 1.0 == true) | string | json }}
