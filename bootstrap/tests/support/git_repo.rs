//! A bare repository and a work tree beside it, edited and pushed with the real git.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `<dir>/NAME.git` and `<dir>/NAME`.
pub struct GitRepo {
    pub bare: PathBuf,
    pub work: PathBuf,
}

impl GitRepo {
    pub fn new(dir: &Path, name: &str) -> Self {
        let repo = Self { bare: dir.join(format!("{name}.git")), work: dir.join(name) };
        run(dir, &["init", "-q", "--bare", "-b", "main", repo.bare.to_str().unwrap()]);
        run(dir, &["init", "-q", "-b", "main", repo.work.to_str().unwrap()]);
        repo.git(&["remote", "add", "origin", repo.bare.to_str().unwrap()]);
        repo
    }

    pub fn git(&self, args: &[&str]) -> String {
        run(&self.work, args)
    }

    /// The same at a time, in seconds since the epoch.
    pub fn git_at(&self, time: u64, args: &[&str]) -> String {
        run_at(&self.work, Some(time), args)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits everything and gives the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits and pushes `main`.
    pub fn push(&self, message: &str) -> String {
        let commit = self.commit(message);
        self.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        commit
    }
}

fn run(dir: &Path, args: &[&str]) -> String {
    run_at(dir, None, args)
}

fn run_at(dir: &Path, time: Option<u64>, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(time.map(|time| ("GIT_COMMITTER_DATE", format!("@{time} +0000"))))
        .output()
        .expect("git runs: install git");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
