common: {from: base, base: true}
env: {{ saltenv }}
