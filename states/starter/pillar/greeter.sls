# What a deployment sets (`mayfly deploy --set greeter.version=2`) wins over what stands here; what stands here can be
# edited on the branch and is live a schedule's tick later.
greeter:
  version: "1"
  greeting: Hello
  port: 8080
  user: greeter
  # `failing` answers /health with 503: a version that never becomes healthy, to see a deployment roll back.
  health: ok

# Rules by name: the files of pillar are merged, and a list would take the place of the other files' rules.
mayfly:
  watch:
    # The file that is edited most: checked before the restart, so that a bad edit never takes the service down.
    greeter-config:
      service: greeter
      paths:
        - /etc/greeter/greeter.conf
      check: /usr/local/bin/greeter --check /etc/greeter/greeter.conf
