#!json
{"data": {"test.nop": [{"text": "{{ as it is }}"}, {"number": 1.5}]}}
