{# says nothing #}
