app:
  deep: {x: {{ grains['role'] }} }
