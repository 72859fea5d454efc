//! A state repository as a team has it: a bare one that is served, and a working copy that is edited and pushed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{run_ok, workspace};

/// The starter tree, or any other, in git.
pub struct Repo {
    work: PathBuf,
}

impl Repo {
    /// `<root>/states.git` with the starter tree on `main`.
    pub fn starter(root: &Path, work: &Path) -> Self {
        let repo = Self::empty(root, work);
        copy(&workspace().join("states/starter"), work);
        repo.push("the starter tree");
        repo
    }

    /// `<root>/states.git` with nothing in it.
    pub fn empty(root: &Path, work: &Path) -> Self {
        let bare = root.join("states.git");
        run_ok(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
        run_ok(Command::new("git").args(["init", "-q", "-b", "main"]).arg(work));
        let repo = Self { work: work.to_owned() };
        repo.git(&["remote", "add", "origin", bare.to_str().expect("UTF-8")]);
        repo
    }

    /// Writes a file of the working copy.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.work.join(file);
        std::fs::create_dir_all(path.parent().expect("inside the working copy")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Replaces text in a file of the working copy.
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.work.join(file)).expect("a file to edit");
        assert!(text.contains(old), "{file} has no {old:?}");
        self.write(file, &text.replace(old, new));
    }

    /// Commits everything and pushes it; the commit.
    pub fn push(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["push", "-q", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The commit that was pushed last.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@mayfly.invalid"];
        run_ok(Command::new("git").current_dir(&self.work).args(who).args(args))
    }
}

fn copy(from: &Path, to: &Path) {
    let source = format!("{}/.", from.display());
    run_ok(Command::new("cp").arg("-R").arg(source).arg(to));
}
