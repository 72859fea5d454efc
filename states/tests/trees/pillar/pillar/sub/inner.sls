value: {{ given }}
