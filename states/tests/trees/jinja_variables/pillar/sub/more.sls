more: {{ sls }} {{ slspath }} {{ tpldir }} {{ tplfile }} {{ tpldot }}
