worker:
  # Where the work comes from: the balancer's address in a decoupled cluster, this very machine on a single box.
  feed: http://127.0.0.1:8080/
  every_seconds: 5
  user: worker

mayfly:
  watch:
    worker-config:
      service: worker
      paths:
        - /etc/worker/worker.conf
