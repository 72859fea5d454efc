{% set tree = [{'n': 'a', 'c': [{'n': 'b', 'c': []}]}, {'n': 'd', 'c': []}] %}
loops:
  test.nop:
    - loop: "{% for i in [5, 6, 7] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem | default('-') }}{{ loop.nextitem | default('+') }}{{ loop.cycle('x', 'y') }}{{ loop.changed(i > 5) }} {% endfor %}"
    - filtered: "{% for i in [1, 2, 3] if i != 2 %}{{ i }}{{ loop.index }}{{ loop.length }} {% endfor %}"
    - recursive: "{% for x in tree recursive %}{{ x.n }}{{ loop.depth }}({{ loop(x.c) }}){% endfor %}"
    - outer: "{% for i in [1, 2] %}{% set outer = loop %}{% for j in [1, 2] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}"
    - controls: "{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    - else: "{% for i in [] %}x{% else %}empty{% endfor %}"
    - broken at once: "{% for i in [1] %}{% break %}{% else %}taken for empty{% endfor %}"
    - pairs: "{% for k, (a, b) in {'k': (1, 2)}.items() %}{{ k }}{{ a }}{{ b }}{% endfor %}"
    - cycler: "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}"
    - joiner: "{% set j = joiner(', ') %}{% for i in [1, 2] %}{{ j() }}{{ i }}{% endfor %}"
