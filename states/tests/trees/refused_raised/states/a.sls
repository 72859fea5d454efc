{% if grains.os == 'Debian' %}{{ raise('Debian is not served here') }}{% endif %}
