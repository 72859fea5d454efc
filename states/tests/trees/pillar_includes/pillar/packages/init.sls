include:
  - packages.*
  - common
packages: {base: [vim]}
