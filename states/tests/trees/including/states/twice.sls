include: [other, other, app.conf, other]
