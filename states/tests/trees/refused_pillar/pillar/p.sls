x: 1
y: {{ gone }}
