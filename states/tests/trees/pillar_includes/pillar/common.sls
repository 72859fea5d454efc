include:
  - site
who: common
own: {b: 2}
common: true
