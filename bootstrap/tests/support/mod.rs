//! What the tests of the whole program share: real git over real HTTP, a metadata service, a running instance.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part.

pub mod boot;
pub mod disk;
pub mod files;
pub mod git_http;
pub mod git_repo;
pub mod imds;
pub mod tls;

use boot::Boot;
use git_http::GitHttp;
use git_repo::GitRepo;
use imds::Imds;
use std::net::SocketAddr;
use std::path::PathBuf;

pub const INSTANCE: &str = "i-0123456789abcdef0";

/// A repository with a tree of one service, a server for it, a metadata service, and a root for an instance.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub repo: GitRepo,
    pub server: GitHttp,
    pub imds: Imds,
}

impl Stage {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = GitRepo::new(dir.path(), "states");
        let server = GitHttp::start(dir.path(), None);
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let imds = Imds::start(INSTANCE, user_data(&server.url("states.git"), ""));
        let stage = Self { dir, repo, server, imds };
        stage.write_tree();
        stage
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub fn set(&self, extra: &str) {
        self.imds.set_user_data(user_data(&self.server.url("states.git"), extra));
    }

    /// User-data with more keys beside `states`.
    pub fn set_root(&self, extra: &str) {
        let text = user_data(&self.server.url("states.git"), "").replacen(
            "role: web\n",
            &format!("role: web\n{extra}"),
            1,
        );
        self.imds.set_user_data(text);
    }

    pub fn boot(&self) -> Boot {
        Boot::start(&self.root(), &self.imds.url, &[])
    }

    /// Pushes the tree, boots, and waits until it is ready: with its address, and the commit.
    pub fn pushed(&self, message: &str) -> (Boot, SocketAddr, String) {
        let commit = self.repo.push(message);
        let mut boot = self.boot();
        let address = boot.address();
        boot.ready(&commit);
        (boot, address, commit)
    }

    /// The process of the service, as it has told itself.
    pub fn service(&self) -> String {
        let starts = std::fs::read_to_string(self.dir.path().join("starts")).unwrap();
        starts.lines().last().unwrap().to_owned()
    }

    /// How often the service was started.
    pub fn starts(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("starts")).unwrap_or_default().lines().count()
    }

    /// Waits for the n-th start, which a service tells a moment after its supervisor; one too many is never right.
    pub fn wait_starts(&self, n: usize) {
        boot::until("the start of the service", || (self.starts() >= n).then_some(()));
        assert_eq!(self.starts(), n, "starts");
    }

    pub fn conf(&self) -> String {
        std::fs::read_to_string(self.root().join("etc/app.conf")).unwrap_or_default()
    }

    /// `web` runs the service `app` with a configuration from pillar.
    fn write_tree(&self) {
        let starts = self.dir.path().join("starts");
        self.repo.write("top.sls", "base:\n  'role:web':\n    - match: grain\n    - app\n");
        self.repo.write("pillar/top.sls", "base:\n  '*':\n    - app\n");
        self.repo.write("pillar/app.sls", "greeting: hello\n");
        self.repo.write(
            "app/init.sls",
            "app-unit:\n  file.managed:\n    - name: /etc/systemd/system/app.service\n    - source: salt://app/app.service\n    \
             - makedirs: True\n\napp-conf:\n  file.managed:\n    - name: /etc/app.conf\n    \
             - source: salt://app/app.conf\n    - template: jinja\n\napp:\n  service.running:\n    - require:\n      \
             - file: app-unit\n    - watch:\n      - file: app-conf\n",
        );
        self.repo.write(
            "app/app.conf",
            "{{ pillar['greeting'] }} from {{ grains['id'] }} in {{ grains['environment'] }}\n",
        );
        self.repo.write(
            "app/app.service",
            &format!(
                "[Service]\nExecStart=/bin/sh -c 'echo $$$$ >> {}; exec sleep 100000'\n[Install]\nWantedBy=multi-user.target\n",
                starts.display()
            ),
        );
    }
}

/// User-data that asks the remote every second.
pub fn user_data(url: &str, extra: &str) -> String {
    format!(
        "#mayfly\nrole: web\nenvironment: staging\nlisten: 127.0.0.1:0\nsupervisor: builtin\nschedule: '* * * * * *'\n\
         states:\n  url: {url}\n{extra}"
    )
}
