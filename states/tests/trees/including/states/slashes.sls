include: [app/parts/leaf, other/init]
