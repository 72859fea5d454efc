{% set names = ['web', 'cache'] %}
{% do names.append('db') %}{% do names.extend(['mq', 'web']) %}{% do names.insert(1, 'lb') %}
{% set first = names.pop(0) %}{% do names.remove('mq') %}
{% set sorted = names.copy() %}{% do sorted.sort() %}{% do sorted.reverse() %}
{# A loop sees what its body adds to the list. #}
{% set queue = [3] %}
{% for n in queue %}{% if n > 0 %}{% do queue.append(n - 1) %}{% endif %}{% endfor %}
lists:
  test.nop:
    - hosts: {{ (names) | string | json }}
    - first: {{ (first) | string | json }}
    - sorted: {{ (sorted) | string | json }}
    - queue: {{ (queue) | string | json }}
    - index: {{ ([1, 2, 1].index(1, 1)) | string | json }}
    - count: {{ (names.count('web')) | string | json }}
    - shared: {{ (names is sameas names) | string | json }}
    - sliced: {{ (range(10)[2:8:3] | list) | string | json }}
    - range: "{{ range(1, 9, 2) }}"
    - tuple: {{ (((1, 2) + (3,)).index(3)) | string | json }}
    - nested item: {{ (((1, 2), (3, 4)).1.0) | string | json }}
