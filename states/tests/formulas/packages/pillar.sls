# apply: packages
packages:
  pkgs:
    wanted:
      - tree
      - less
    unwanted:
      - nano
    required:
      pkgs:
        - bzip2
