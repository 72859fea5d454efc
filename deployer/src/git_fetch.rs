//! Fetches the history of two commits from a remote repository into a folder that goes when it is dropped.
//!
//! Over HTTP this is one `fetch` of git's protocol version 2 (gitprotocol-v2), which gives any commit by its id; libgit2
//! reads what comes. Where the server can, it leaves out files and folders: a log needs commits alone.
// Effects: the network, a temporary repository.
#![allow(clippy::disallowed_methods)]

use crate::git_ref::{answer, authorized, client, packets, redact};
use git2::Repository;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use tempfile::TempDir;

/// Commits that are fetched, back from each of the two.
pub(crate) const DEPTH: usize = 1_000;
/// Most bytes that a server may send. One that cannot leave files out sends those of a thousand commits.
const LIMIT: usize = 64 * 1024 * 1024;
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(45);

/// A bare repository with the history of both commits, at most [`DEPTH`] back.
///
/// # Errors
/// Why there is none, in words that name the repository.
pub(crate) async fn history(url: &str, token: Option<&str>, commits: [&str; 2]) -> Result<TempDir, String> {
    let shown = redact(url);
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(format!("{shown} is not asked for a log: only http(s) addresses are"));
    }
    let fetched = tokio::time::timeout(DEADLINE, fetch(url, token, commits)).await;
    let late = || Err(format!("not done within {} s", DEADLINE.as_secs()));
    fetched.unwrap_or_else(|_| late()).map_err(|why| format!("{shown} gives no log: {why}"))
}

async fn fetch(url: &str, token: Option<&str>, commits: [&str; 2]) -> Result<TempDir, String> {
    let base = url.trim_end_matches('/');
    let ask = |request: reqwest::RequestBuilder| {
        authorized(request, url, token).header("Git-Protocol", "version=2")
    };
    let too_long = format!("its history is longer than {} MiB", LIMIT / 1024 / 1024);
    let client = client()?;
    let head = ask(client.get(format!("{base}/info/refs?service=git-upload-pack")));
    let can_filter = can_filter(&answer(head, LIMIT, &too_long).await?)?;
    let body = ask(client.post(format!("{base}/git-upload-pack")))
        .header("Content-Type", "application/x-git-upload-pack-request")
        .body(request(commits, can_filter));
    let received = Received::read(&answer(body, LIMIT, &too_long).await?)?;
    tokio::task::spawn_blocking(move || received.keep()).await.map_err(|error| error.to_string())?
}

/// Whether the server can leave out files and folders.
fn can_filter(advertised: &[u8]) -> Result<bool, String> {
    let lines = packets(advertised)?;
    let mut lines = lines.into_iter().flatten().map(|line| String::from_utf8_lossy(line).trim().to_owned());
    if !lines.any(|line| line == "version 2") {
        return Err("it does not speak version 2 of git's protocol".to_owned());
    }
    let fetch = lines.find_map(|line| line.strip_prefix("fetch=").map(str::to_owned)).unwrap_or_default();
    Ok(fetch.split(' ').any(|word| word == "filter"))
}

/// The request: both commits, and [`DEPTH`] back from each.
fn request(commits: [&str; 2], can_filter: bool) -> String {
    let line = |text: &str| format!("{:04x}{text}\n", text.len() + 5);
    let mut body = format!("{}0001{}{}", line("command=fetch"), line("no-progress"), line("ofs-delta"));
    for commit in commits {
        body.push_str(&line(&format!("want {commit}")));
    }
    body.push_str(&line(&format!("deepen {DEPTH}")));
    if can_filter {
        body.push_str(&line("filter tree:0"));
    }
    body + &line("done") + "0000"
}

/// What a server sent.
#[derive(Default)]
struct Received {
    /// Commits whose parents were left out, a line each.
    shallow: String,
    /// The objects, as git packs them.
    pack: Vec<u8>,
}

impl Received {
    /// Sections, each with its name first; the pack comes in pieces that say what they are.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut received = Self::default();
        let mut is_pack = false;
        for line in packets(bytes)?.into_iter().flatten() {
            let text = || String::from_utf8_lossy(line).trim().to_owned();
            match line.split_first() {
                Some((1, piece)) if is_pack => received.pack.extend_from_slice(piece),
                Some((2, _)) if is_pack => {}
                Some((3, words)) if is_pack => return Err(String::from_utf8_lossy(words).trim().to_owned()),
                _ => match text().split_once(' ') {
                    Some(("shallow", commit)) => {
                        let _ = writeln!(received.shallow, "{commit}");
                    }
                    Some(("ERR", _)) => return Err(refused(&text())),
                    _ => is_pack |= text() == "packfile",
                },
            }
        }
        if received.pack.is_empty() { Err("it sent no commits".to_owned()) } else { Ok(received) }
    }

    /// Writes it into a repository of its own.
    fn keep(self) -> Result<TempDir, String> {
        let words = |error: git2::Error| error.message().to_owned();
        let folder = tempfile::Builder::new()
            .prefix("mayfly-log-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?;
        let repository = Repository::init_bare(folder.path()).map_err(words)?;
        std::fs::write(folder.path().join("shallow"), &self.shallow).map_err(|error| error.to_string())?;
        let objects = repository.odb().map_err(words)?;
        let mut writer = objects.packwriter().map_err(words)?;
        writer.write_all(&self.pack).map_err(|error| error.to_string())?;
        writer.commit().map_err(words)?;
        Ok(folder)
    }
}

/// git's own words for a commit that it has not are `upload-pack: not our ref ID`.
fn refused(line: &str) -> String {
    match line.split_once("not our ref ") {
        Some((_, commit)) => format!("it has no commit {}", commit.get(..12).unwrap_or(commit)),
        None => line.trim_start_matches("ERR ").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Log;
    use crate::git_log::between;
    use std::path::Path;
    use std::process::Command;
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    fn with_tls() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    fn git(folder: &Path, args: &[&str]) -> String {
        let who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.invalid"];
        let output = Command::new("git").current_dir(folder).args(who).args(args).output().expect("git runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(folder: &Path, text: &str) -> String {
        std::fs::write(folder.join("file"), text).expect("written");
        git(folder, &["add", "."]);
        git(folder, &["commit", "--quiet", "--message", text]);
        git(folder, &["rev-parse", "HEAD"])
    }

    /// The sandbox's git server on what is below a folder.
    async fn serve(root: &Path) -> (String, watch::Sender<bool>) {
        with_tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/states.git", listener.local_addr().expect("an address"));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(mayfly_sandbox::git_server::serve(listener, root.to_owned(), stopped));
        (url, stop)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn commits_are_fetched_by_id_whether_a_branch_has_them_or_not() {
        let root = tempfile::tempdir().expect("a folder");
        let (work, bare) = (root.path().join("work"), root.path().join("states.git"));
        git(root.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "states.git"]);
        git(root.path(), &["init", "--quiet", "--initial-branch=main", "work"]);
        let [one, two] = ["one", "two"].map(|text| commit(&work, text));
        // What is deployed may have been replaced on its branch since.
        git(&work, &["push", "--quiet", bare.to_str().expect("UTF-8"), "HEAD:main"]);
        git(&work, &["reset", "--quiet", "--hard", &one]);
        let other = commit(&work, "other");
        git(&work, &["push", "--quiet", "--force", bare.to_str().expect("UTF-8"), "HEAD:main"]);
        let (url, _stop) = serve(root.path()).await;
        let line = |id: &str, text: &str| format!("{} {text} (Ann)", &id[..12]);
        for filter in ["false", "true"] {
            git(&bare, &["config", "uploadpack.allowFilter", filter]);
            let fetched = history(&url, None, [&two, &other]).await.expect("a history");
            let objects = git(fetched.path(), &["cat-file", "--batch-all-objects", "--batch-check"]);
            assert_eq!(objects.contains("blob"), filter == "false", "{objects}");
            let log = between(&[fetched.path().to_owned()], &two, &other);
            let (added, removed) = (vec![line(&other, "other")], vec![line(&two, "two")]);
            assert_eq!(log, Log::Commits { added, removed });
        }
        let missing = "f".repeat(40);
        let why = history(&url, None, [&one, &missing]).await.expect_err("there is no such commit");
        assert_eq!(why, format!("{url} gives no log: it has no commit ffffffffffff"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_history_is_cut_and_read_all_the_same() {
        let root = tempfile::tempdir().expect("a folder");
        let bare = root.path().join("states.git");
        git(root.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "states.git"]);
        let mut stream = String::new();
        for number in 0..DEPTH + 500 {
            let text = format!("number {number}");
            stream.push_str(&format!(
                "commit refs/heads/main\ncommitter Ann <ann@example.invalid> {number} +0000\ndata {}\n{text}\n",
                text.len()
            ));
        }
        let file = root.path().join("stream");
        std::fs::write(&file, stream).expect("written");
        let import = Command::new("git")
            .current_dir(&bare)
            .args(["fast-import", "--quiet"])
            .stdin(std::fs::File::open(&file).expect("opened"))
            .status();
        assert!(import.expect("git runs").success());
        let (last, before) = (git(&bare, &["rev-parse", "main"]), git(&bare, &["rev-parse", "main~2"]));
        let (url, _stop) = serve(root.path()).await;
        let fetched = history(&url, None, [&before, &last]).await.expect("a history");
        let count = git(fetched.path(), &["rev-list", "--count", &last]);
        // As far back as the older of the two goes.
        assert_eq!(count.parse(), Ok(DEPTH + 2));
        match between(&[fetched.path().to_owned()], &before, &last) {
            Log::Commits { added, removed } => assert_eq!((added.len(), removed.len()), (2, 0)),
            Log::Unknown { unknown } => panic!("{unknown}"),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_said_in_words() {
        with_tls();
        let commits = ["a", "b"];
        let why = history("git@host:states.git", None, commits).await.expect_err("not over SSH");
        assert_eq!(why, "git@host:states.git is not asked for a log: only http(s) addresses are");
        let why =
            history("http://u:s3cret@127.0.0.1:9/x.git", None, commits).await.expect_err("nobody there");
        assert!(why.starts_with("http://127.0.0.1:9/x.git gives no log: "), "{why}");
        let error = b"000aERR no0000";
        assert_eq!(Received::read(error).err().as_deref(), Some("no"));
    }
}
