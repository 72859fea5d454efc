extra: one
first: {{ sls }}
