a: {{ nowhere.x }}
