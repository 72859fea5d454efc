app-user:
  user.present:
    - name: app
    - uid: 1001
extend:
  app:
    service:
      - reload: true
      - watch:
        - file: /etc/app/*
  app-packages:
    pkg:
      - latest
