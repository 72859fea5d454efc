common: {from: qa, qa: true}
