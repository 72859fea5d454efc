include: [dots.conf]
