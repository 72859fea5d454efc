common: {from: dev, dev: true}
env: {{ saltenv }}
