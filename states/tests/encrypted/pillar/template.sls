#!jinja|yaml|gpg
{% set name = 'made' %}
{{ name }}_by_template: |
  -----BEGIN PGP MESSAGE-----
  
  hF4Dw4kPbSSj0IoSAQdAyXcfZBDt+FgsE2r142b0xGd57zsQ3MLfnbEYmpodWlUw
  ESkBKdTYvlZHovdIBcGqWgJNFkmlzlEQxdeae66N6Lg2pIpfHO7uXZ60U4Y8PWv2
  0kwBZQf3e81kcbg+ZL2G/2EXijHo615WPJ9t3rosG6n4pqNaQ0gJvLykc6lQWmLy
  1Xg6iEpJxtMGbEjeCS31XtHN1X+MBkKBgYyQOcCn
  =etfY
  -----END PGP MESSAGE-----
