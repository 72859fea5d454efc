v: last
