{% set settings = {'web': {'port': 80}} %}
{% do settings | set_dict_key_value('web:tls:port', 443) %}
{% do settings | append_dict_key_value('web:names', 'a.example') %}
{% do settings | extend_dict_key_value('web:names', ['b.example']) %}
{% do settings | update_dict_key_value('web:tls', {'cert': 'x'}) %}
data:
  test.nop:
    - settings: {{ (settings) | string | json }}
    - traverse: {{ (settings | traverse('web:names:1')) | string | json }}
    - traverse list: {{ (settings | traverse(['web', 'tls', 'port'])) | string | json }}
    - traverse default: {{ (settings | traverse('web/none', 'nothing', '/')) | string | json }}
    - traverse none: {{ (settings | traverse('none')) | string | json }}
    - query: {{ settings | json_query('web.names[0]') }}
    - query filter: {{ [{'n': 'x', 's': 1}, {'n': 'y', 's': 2}] | json_query('[?s > `1`].n') }}
    - flatten: {{ ([1, [2, [3, none, 'null']]] | flatten) | string | json }}
    - flatten once: {{ ([1, (2, [3])] | flatten(levels=1)) | string | json }}
    - union: {{ ([1, 2] | union([2, 3])) | string | json }}
    - union of tuples: {{ ((1, 2) | union((2, 3)) | list) | string | json }}
    - symmetric: {{ ([1, 2] | symmetric_difference([2, 3])) | string | json }}
    - avg: {{ ([1, 2, 3, 4] | avg) | string | json }}
    - lists: {{ ([1, 2, 3] | compare_lists([1, 2, 4])) | string | json }}
    - dicts: {{ ({'a': 'b'} | compare_dicts({'a': 'c'})) | string | json }}
    - entries: {{ ({'a': 1} | to_entries) | string | json }}
    - from entries: {{ ([{'key': 'a', 'value': 1}, {'Name': 'b', 'Value': 2}] | from_entries) | string | json }}
    - one true: {{ ([1, 0, none] | exactly_one_true) | string | json }}
    - two true: {{ ([1, 1, 0] | exactly_n_true(2)) | string | json }}
    - whitelist: {{ ('web1' | check_whitelist_blacklist(whitelist='web*')) | string | json }}
    - blacklist: {{ ('web1' | check_whitelist_blacklist(blacklist=['w.*1'])) | string | json }}
    - table: {{ (['+--+', '| a | b |', '+--+', '| 1 | x |'] | mysql_to_dict('a')) | string | json }}
    - bool: {{ (['yes', 'on', 1, -1, none, [0]] | map('to_bool') | list) | string | json }}
    - numbers: {{ (['5', '5.5', ' 7 ', 'x', '1e3'] | map('to_num') | list) | string | json }}
    - bytes: {{ (['3.5MB', '1 GiB', '10', '5x'] | map('human_to_bytes') | list) | string | json }}
    - method: {{ ('a,b' | method_call('split', ',')) | string | json }}
    - skipped: "{{ settings | skip }}"
    - sls params: {{ {'name': 'thing', 'list': [1, {'a': 2}]} | dict_to_sls_yaml_params | json }}
    - xml: {{ {'root': {'on': True, 'port': [1, 2]}} | xml | json }}
    - sorted: {{ (['B', 'a', 'C'] | sorted_ignorecase) | string | json }}
    - sequence: {{ ('a' | sequence) | string | json }}
