p: top
