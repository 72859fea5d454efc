//! The git program as the `git.*` states use it: argument vectors, no questions, a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind};
use crate::host::{Command, Output};
use crate::modules::args::Args;
use crate::modules::cmd::last_words;
use crate::modules::textfile::place;
use crate::redact::redacted;

/// A clone of something large over a slow line must still end.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// As whom git runs, and with which key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Git {
    user: Option<String>,
    identity: Vec<PathBuf>,
}

impl Git {
    pub(crate) fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        for key in ["https_user", "https_pass"] {
            args.refuse(key, "let a credential helper or ~/.netrc of the user know it")?;
        }
        let named = args.list("identity")?.unwrap_or_default();
        let path = |name: &String| Ok(place(name, call)?.path);
        Ok(Self {
            user: args.text("user")?,
            identity: named.iter().map(path).collect::<Result<_, Failure>>()?,
        })
    }

    fn command(&self, dir: Option<&Path>, args: &[&str]) -> Command {
        let mut argv = vec!["git".to_owned()];
        if let Some(dir) = dir {
            argv.extend(["-C".to_owned(), dir.display().to_string()]);
        }
        argv.extend(args.iter().map(|a| (*a).to_owned()));
        let mut command = Command::argv(argv).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C.UTF-8");
        // To look at a clone writes nothing to it, not even its index.
        command = command.env("GIT_OPTIONAL_LOCKS", "0");
        // Variables of a surrounding git would send it to another repository.
        command.env.extend(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"].map(|v| (v.to_owned(), None)));
        let keys: String = self
            .identity
            .iter()
            .map(|p| format!(" -i {}", shell_words::quote(&p.to_string_lossy())))
            .collect();
        let only = if keys.is_empty() { "" } else { " -o IdentitiesOnly=yes" };
        command = command.env("GIT_SSH_COMMAND", &format!("ssh -o BatchMode=yes{only}{keys}"));
        command.user.clone_from(&self.user);
        command.timeout = TIMEOUT;
        command
    }

    /// Whatever it ends with.
    pub(crate) fn ask(&self, dir: Option<&Path>, args: &[&str], call: &Call<'_>) -> Result<Output, Failure> {
        Ok(call.context.host.run(&self.command(dir, args))?)
    }

    /// Its output; anything but exit code 0 is a failure with its words.
    pub(crate) fn run(&self, dir: Option<&Path>, args: &[&str], call: &Call<'_>) -> Result<String, Failure> {
        let output = self.ask(dir, args, call)?;
        match output.code {
            0 => Ok(output.out()),
            code => {
                let verb = args.iter().find(|a| !a.starts_with('-')).copied().unwrap_or_default();
                let words = redacted(&last_words(&output));
                Err(Failure::machine(format!("`git {verb}` ended with exit code {code}{words}")))
            }
        }
    }

    /// Its output, or nothing when it ends with anything but 0.
    pub(crate) fn maybe(
        &self,
        dir: &Path,
        args: &[&str],
        call: &Call<'_>,
    ) -> Result<Option<String>, Failure> {
        let output = self.ask(Some(dir), args, call)?;
        Ok(Some(output).filter(|o| o.code == 0).map(|o| o.out()).filter(|o| !o.is_empty()))
    }
}

/// A URL or path that git takes, never as an option.
pub(crate) fn remote_name(url: &str) -> Result<String, Failure> {
    let helper = url.split_once("::").is_some_and(|(kind, _)| !kind.contains(['/', '[', '@']));
    match url.is_empty() || url.starts_with('-') || url.contains(['\0', '\n']) || helper {
        true => Err(Failure::declaration(format!("{:?} cannot be a git repository", redacted(url)))),
        false => Ok(url.to_owned()),
    }
}

/// A branch, tag or commit; never read as an option.
pub(crate) fn revision(key: &str, rev: String) -> Result<String, Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    match rev.is_empty() || rev.starts_with('-') || rev.contains(odd) || rev.contains("..") {
        true => Err(Failure::declaration(format!("`{key}` cannot be {rev:?}"))),
        false => Ok(rev),
    }
}

/// What stands where a repository is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing, or an empty directory.
    Free,
    /// A repository.
    Repository,
    /// A directory with something else in it.
    Taken,
}

pub(crate) fn target(path: &Path, bare: bool) -> Result<Target, Failure> {
    match fsys::stat(path)?.kind {
        Kind::Missing => return Ok(Target::Free),
        Kind::Directory | Kind::Symlink if path.is_dir() => {}
        odd => return Err(Failure::machine(format!("{} is {odd}; it is left as it is", path.display()))),
    }
    let mark = if bare { "HEAD" } else { ".git" };
    if fsys::stat(&path.join(mark))?.kind != Kind::Missing {
        return Ok(Target::Repository);
    }
    let empty = path.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    Ok(if empty { Target::Free } else { Target::Taken })
}

/// The references of a remote: name and commit, tags peeled.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Refs(Vec<(String, String)>);

/// What a revision is on the remote.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    Branch(String),
    Tag(String),
    /// The remote's own choice: its commit, and its branch where it is known.
    Head(String),
    /// Nothing by that name: perhaps a commit.
    Commit(String),
}

impl Found {
    /// The commit, in full unless it was given as less.
    pub(crate) fn commit(&self) -> &str {
        match self {
            Found::Branch(sha) | Found::Tag(sha) | Found::Head(sha) | Found::Commit(sha) => sha,
        }
    }
}

impl Refs {
    /// From the output of `git ls-remote`.
    pub(crate) fn parse(text: &str) -> Self {
        let line = |l: &str| l.split_once('\t').map(|(sha, name)| (name.to_owned(), sha.to_owned()));
        Self(text.lines().filter_map(line).collect())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, sha)| sha.clone())
    }

    /// What `rev` means; `None` when it is nothing.
    pub(crate) fn find(&self, rev: &str) -> Option<Found> {
        if rev == "HEAD" {
            return self.get("HEAD").map(Found::Head);
        }
        if let Some(sha) = self.get(&format!("refs/heads/{rev}")) {
            return Some(Found::Branch(sha));
        }
        let tag =
            self.get(&format!("refs/tags/{rev}^{{}}")).or_else(|| self.get(&format!("refs/tags/{rev}")));
        if let Some(sha) = tag {
            return Some(Found::Tag(sha));
        }
        let hex = rev.len() >= 7 && rev.len() <= 64 && rev.chars().all(|c| c.is_ascii_hexdigit());
        hex.then(|| Found::Commit(rev.to_lowercase()))
    }

    /// Branches and tags, as `git for-each-ref` has them.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let kept =
            |n: &str| (n.starts_with("refs/heads/") || n.starts_with("refs/tags/")) && !n.ends_with("^{}");
        let mut all: Vec<_> = self.0.iter().filter(|(n, _)| kept(n)).cloned().collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_branch_before_a_tag_and_a_commit_last() {
        let refs = Refs::parse(
            "aa\tHEAD\nbb\trefs/heads/x\ncc\trefs/tags/x\ndd\trefs/tags/v1\nee\trefs/tags/v1^{}\n",
        );
        assert_eq!(refs.find("HEAD"), Some(Found::Head("aa".into())));
        assert_eq!(refs.find("x"), Some(Found::Branch("bb".into())));
        assert_eq!(refs.find("v1"), Some(Found::Tag("ee".into())));
        assert_eq!(refs.find("ABCDEF0"), Some(Found::Commit("abcdef0".into())));
        assert_eq!(refs.find("nothing"), None);
        assert_eq!(refs.all().len(), 3);
    }

    #[test]
    fn what_git_would_take_for_an_option_or_a_helper_is_refused() {
        for bad in ["-u", "ext::sh -c x", ""] {
            assert!(remote_name(bad).is_err(), "{bad}");
        }
        for good in ["https://x/y.git", "git@x.org:y.git", "/srv/y.git", "ssh://[::1]/y"] {
            assert!(remote_name(good).is_ok(), "{good}");
        }
        assert!(revision("rev", "a..b".into()).is_err() && revision("rev", "v1.0/x".into()).is_ok());
    }
}
