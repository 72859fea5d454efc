packages: {web: [nginx]}
