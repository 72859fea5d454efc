cache: {{ port | default('none') }}
