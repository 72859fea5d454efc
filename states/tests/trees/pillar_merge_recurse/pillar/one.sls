users: [ann, bob]
app: {ports: [80], name: shop, nested: {a: 1}}
plain: 1
empty: {k: 1}
list: [1]
