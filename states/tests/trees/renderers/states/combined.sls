#!jinja|json
{"combined": {"test.nop": [{"sum": {{ 1 + 1 }}}, {"os": {{ grains.os | json }}}]}}
