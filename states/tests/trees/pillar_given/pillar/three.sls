users: [dan]
third: {x: [1]}
app: {three: true}
