{% set users = [{'name': 'ann', 'uid': 2, 'shell': {'path': '/bin/sh'}}, {'name': 'Bob', 'uid': 1}, {'name': 'cid', 'uid': 2}] %}
{# What `map` and its like give can be gone through once. #}
{% set once = users | map(attribute='name') %}
sequences:
  test.nop:
    - once: {{ (once | list) | string | json }}
    - twice: {{ (once | list) | string | json }}
    - first: {{ (users | map(attribute='name') | first) | string | json }}
    - default: {{ (users | map(attribute='shell.path', default='none') | list) | string | json }}
    - select: {{ (users | selectattr('uid', 'gt', 1) | map(attribute='name') | list) | string | json }}
    - reject: {{ (users | rejectattr('shell', 'defined') | map(attribute='name') | join(',')) | string | json }}
    - sort: {{ (users | sort(attribute='uid,name') | map(attribute='name') | list) | string | json }}
    - sort case: {{ (['b', 'A', 'c'] | sort(case_sensitive=true, reverse=true)) | string | json }}
    - groups: "{% for uid, members in users | groupby('uid') %}{{ uid }}:{{ members | length }} {% endfor %}"
    - group names: "{% for g in users | groupby('uid') %}{{ g.grouper }}={{ g.list | map(attribute='name') | join('+') }} {% endfor %}"
    - batch: {{ ([1, 2, 3] | batch(2, 'x') | list) | string | json }}
    - slice: {{ ([1, 2, 3, 4] | slice(3, 'x') | list) | string | json }}
    - unique: {{ (['a', 'b', 'a'] | unique) | string | json }}
    - unique once: {{ ((['b', 'a', 'b'] | map('upper') | unique | sort)) | string | json }}
    - dictsort: {{ ({'b': 2, 'A': 1} | dictsort(false, 'value')) | string | json }}
    - sum: {{ (users | sum(attribute='uid', start=10)) | string | json }}
    - none: {{ (none | map('upper') | list) | string | json }}
    - reverse: {{ ({'a': 1, 'b': 2}.items() | reverse | list) | string | json }}
    - items: {{ ({'a': 1} | items | list) | string | json }}
    - min: {{ ([3, 1, 2] | min) | string | json }}
    - random of nothing: {{ ([] | random is defined) | string | json }}
    - zip: {{ ([1, 2] | zip(['a', 'b', 'c']) | list) | string | json }}
    - zip_longest: {{ ([1, 2] | zip_longest(['a'], fillvalue='-') | list) | string | json }}
    - product: {{ ([1, 2] | product(repeat=2) | list) | string | json }}
    - combinations: {{ ([1, 2, 3] | combinations(2) | list) | string | json }}
    - permutations: {{ ('ab' | permutations | list) | string | json }}
    - compress: {{ ('ABC' | compress([1, 0, 1]) | list) | string | json }}
    - replacement: {{ ('AB' | combinations_with_replacement(2) | list) | string | json }}
