#!json
{"cache": {"size": 5}}
