late:
  file.managed:
    - name: /etc/late
    - contents: __slot__:salt:test.echo(text)
