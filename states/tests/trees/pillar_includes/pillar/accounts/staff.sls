staff: [ann, bob]
