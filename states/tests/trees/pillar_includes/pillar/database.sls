port: {{ port }}
names: [shop]
