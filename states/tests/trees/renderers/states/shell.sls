#!/bin/sh is no renderer
shell:
  test.nop:
    - sum: {{ 1 + 1 }}
