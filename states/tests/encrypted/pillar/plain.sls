#!yaml
not_opened: |
  -----BEGIN PGP MESSAGE-----
  
  hF4Dw4kPbSSj0IoSAQdA7fL0XJ9jbNwnclPLLdbdxeJtGv/RGpgtGOwPaR9MwkQw
  hTA5ZcJq84lucGT/Gy3RgMqN/484veR8jV2i6KMcQLQNv5WbuKMq8WjepVblTS8z
  0kAB/g7V6rqia4TuDE1IfVLPpqdUcrd1MWAM8FoobjOCCvIFlt8sJ0UHxQ4M3EGf
  aOvymbKswW1UtURcynVs+MNi
  =Dj2E
  -----END PGP MESSAGE-----
