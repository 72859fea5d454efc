queue: {{ port | default('none') }}
