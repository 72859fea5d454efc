packages: {db: [postgres]}
