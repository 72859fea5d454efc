base:
  '*':
    - control
    - trimmed
    - kept
    - crlf
