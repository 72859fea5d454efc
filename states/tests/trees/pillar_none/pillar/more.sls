common: {more: [1]}
