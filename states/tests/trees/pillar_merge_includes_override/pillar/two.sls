include:
  - three
users: [bob, cid]
app: {ports: [443, 443], nested: {b: 2}}
empty:
list: {was: list}
late: true
