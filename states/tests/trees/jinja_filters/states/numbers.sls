numbers:
  test.nop:
    - round: {{ (2.5 | round) | string | json }}
    - round digits: {{ (2.675 | round(2)) | string | json }}
    - round whole: {{ (1250 | round(-2)) | string | json }}
    - ceil: {{ (2.1 | round(0, 'ceil')) | string | json }}
    - int base 0: {{ ('0x1f' | int(base=0)) | string | json }}
    - int text: {{ ('3.7' | int) | string | json }}
    - int default: {{ ('x' | int(7)) | string | json }}
    - float: {{ ('1e5' | float) | string | json }}
    - abs: {{ (-1.5 | abs) | string | json }}
    - negative: {{ ((-5) | abs) | string | json }}
