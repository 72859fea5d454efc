#!yaml|gpg
password: |
  -----BEGIN PGP MESSAGE-----
  
  hF4Dw4kPbSSj0IoSAQdA/+cyYJiCbOqV5eOuiOkYW1cZOQWQftq6DyE+3sk36ycw
  20ZOmYQZ1FjX5VsMVN9iOGNUsOAdnlVnqAKYJEO1twvqsa5ALyllY68dStfR+9Xt
  0koBsHGW9SBgLZo9on66VQ/9wj1vZ/WgmUgKUAA/mikBQ1OdpuHhzCsbcnM8gpxr
  b3cShxJmesWS72HaJ60pcAZLqvrzOaVyAdXw3w==
  =Vzna
  -----END PGP MESSAGE-----
key: |
  -----BEGIN PGP MESSAGE-----
  
  hF4Dw4kPbSSj0IoSAQdASCpkyjkdDFhcQBn3iLtwjv5oNHYWPT26jNfy3oQFCkEw
  hDm5iqpFX55chj923JpRd6BtCGAEMuOE6ZmR3/kR5SYXmSZ+CdeBsNKSAlwvY6bM
  0lcBdk1uxpDWttOHON5TFdDaAv0POUuIC2ZpjMJkNmF2L6izYLV8lmhmlCGwZ6sK
  FRxuUW3r+kcPV/XIU4nx2rNXFuoXoDahOaHGE/cn5G+QavkezIFq61M=
  =/A8C
  -----END PGP MESSAGE-----
inline: '-----BEGIN PGP MESSAGE-----\n\nhF4Dw4kPbSSj0IoSAQdAzzqdqcGz1iuhHtiLsDrmy9IOBCH3U/0VAOKAhn0g1AYw\nTci/s5iKSwV2d4AKgDYM5moDHQCR4uvuyF8JWOBv1KwwAK66Hio0ECftWPGgcdxN\n0kgBa8uMINNIRbo+QrwGYYC9WyB/I0IklUwd/NtLV7YJlnXZGf+oz2GBWRwqdXkS\ny1E0p+R5LwJOLZf991Ey4U+Hae4jzN8Ro+A=\n=Ufdh\n-----END PGP MESSAGE-----\n'
plain: as it is
number: 17
nested:
  list:
    - one
    - |
      -----BEGIN PGP MESSAGE-----
      
      hF4Dw4kPbSSj0IoSAQdAtCRqHm7H89hC5esX8skfsK+r6Sk5aLpusmJH0klEzVMw
      +X3Lij507SFE+2+OpNnu5+GIEXsmWn9fcqjW+zq9Oi3TdLPuKbwDzm5BFfzPsI5L
      0kQBoYW9gxu4C21PWTZRNV17fg2WEC0qRDr5AzIcms8QD/UmGtQkxwOH5eB+eMwn
      eWIJLSWFxAzh4WSEZwnefwCRvs1dKQ==
      =mXSa
      -----END PGP MESSAGE-----
  around: |
    user=-----BEGIN PGP MESSAGE-----
    
    hF4Dw4kPbSSj0IoSAQdAxEPgzVaznmg+aZ4dsTFHLwOuqCmhT6w3otk3bOBEoRIw
    yafHwPqDdeOJmC8JuDcifeIVe2cs7KTJcQanZnNPZQzM0gnWktWsM/uop8Jluopg
    0kEB+UroAUXzjo1Sfnaya4hyqwQqheBK7Vd0XMaNGFE91/a73a+XdxJKre5N5DW5
    i1XyL4GAlsLTeEYrYvGzzX7hsw==
    =cZxX
    -----END PGP MESSAGE-----
    password=-----BEGIN PGP MESSAGE-----
    
    hF4Dw4kPbSSj0IoSAQdAwW36Ha20tqjq9RzCg0sM/RqJo23NQR4VeCBGlnavGQkw
    0FkdQnQlJ8Rav2CzNIxUypI1B3pZchtGJHAywR4aYKOve+ri5/OdnYz1cR1V44OI
    0kUBkY4juoCkcJm1TAMq7CHNjcDnzTmIfemm+AIjYskyyonHPQNjGzgt10JvPbdP
    6OB+Ea9eVOfhvFb+jnGPLsCZSdp1faM=
    =cDzl
    -----END PGP MESSAGE-----
    
