//! A bare repository and a work tree beside it, edited, signed and pushed with the real git.

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
        self.commit(message);
        self.publish()
    }

    /// Commits everything, signed by an SSH key, now or at a time in seconds since the epoch, and gives the commit.
    pub fn commit_signed(&self, key: &Path, time: Option<u64>, message: &str) -> String {
        self.git(&["add", "-A"]);
        let key = format!("user.signingkey={}", key.display());
        let commit = ["-c", "gpg.format=ssh", "-c", &key, "commit", "-q", "-S", "-m", message];
        run_at(&self.work, time, &commit);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes what is committed as `main`, whatever that was, and gives the commit.
    pub fn publish(&self) -> String {
        self.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// An SSH key without a passphrase: its file, and the line of its public half.
pub fn ssh_key(dir: &Path, name: &str, algorithm: &str) -> (PathBuf, String) {
    let key = dir.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", algorithm, "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen runs: install openssh-client").success());
    let public = std::fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap();
    (key, public.trim().to_owned())
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
