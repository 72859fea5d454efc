//! Fetching from real repositories over real HTTP and from files.

// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods)]

use super::*;
use crate::http::Cancel;
use git_http::{Fault, GitHttp};
use git_repo::GitRepo;
use std::fs;

#[allow(unreachable_pub, dead_code)] // Shared with the tests of the whole program.
#[path = "../../tests/support/git_http.rs"]
mod git_http;
#[allow(unreachable_pub, dead_code)] // Shared with the tests of the whole program.
#[path = "../../tests/support/git_repo.rs"]
mod git_repo;
#[allow(unreachable_pub, dead_code)] // Shared with the tests of the whole program.
#[path = "../../tests/support/sshd.rs"]
mod sshd;

struct Place {
    dir: tempfile::TempDir,
    repo: GitRepo,
    server: GitHttp,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    let server = GitHttp::start(dir.path(), None);
    Place { dir, repo, server }
}

fn source(url: &str) -> Source {
    let text = format!("#mayfly\nrole: web\nstates: {{url: '{url}'}}\n");
    crate::userdata::parse(text.as_bytes()).unwrap().states
}

impl Place {
    fn store(&self) -> Store {
        Store::open(&self.dir.path().join("state")).unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::new(source(&self.server.url("states.git")), self.store(), Cancel::default())
    }
}

fn content(fetched: &Fetched, path: &str) -> String {
    fs::read_to_string(fetched.path.join(path)).unwrap()
}

#[test]
fn the_tip_is_fetched_shallow_and_followed() {
    let p = place();
    p.repo.write("top.sls", "one");
    let history = p.repo.push("one");
    let mut fetcher = p.fetcher();
    for round in ["two", "three", "four"] {
        p.repo.write("top.sls", round);
        p.repo.write(&format!("web/{round}.sls"), round);
        let commit = p.repo.push(round);
        let fetched = fetcher.get(Want::Tip("main")).unwrap();
        assert_eq!(
            (fetched.commit.as_str(), content(&fetched, "top.sls").as_str()),
            (commit.as_str(), round)
        );
    }
    let store = p.store();
    let objects = Repository::open_bare(store.objects()).unwrap();
    assert!(objects.is_shallow());
    assert!(objects.find_commit(Oid::from_str(&history).unwrap()).is_err(), "history was fetched");
}

#[test]
fn an_unchanged_remote_costs_one_round_trip() {
    let p = place();
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    let mut fetcher = p.fetcher();
    let first = fetcher.get(Want::Tip("main")).unwrap();
    p.server.take_requests();
    assert_eq!(fetcher.get(Want::Tip("main")).unwrap(), first);
    let requests = p.server.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn rewritten_history_is_followed() {
    let p = place();
    p.repo.write("a", "1");
    p.repo.push("one");
    p.repo.write("b", "1");
    p.repo.push("two");
    let mut fetcher = p.fetcher();
    fetcher.get(Want::Tip("main")).unwrap();
    p.repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    p.repo.write("c", "1");
    let commit = p.repo.push("other two");
    let fetched = fetcher.get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.commit, commit);
    assert!(!fetched.path.join("b").exists());
}

#[test]
fn tags_are_peeled() {
    let p = place();
    p.repo.write("a", "1");
    let commit = p.repo.push("one");
    p.repo.git(&["tag", "-a", "v1", "-m", "v1"]);
    p.repo.git(&["push", "-q", "origin", "v1"]);
    assert_eq!(p.fetcher().get(Want::Tip("v1")).unwrap().commit, commit);
}

#[test]
fn an_old_commit_is_found_though_the_server_gives_none_by_name() {
    let p = place();
    let commits: Vec<String> = (0..120)
        .map(|n| {
            p.repo.write("n", &n.to_string());
            p.repo.commit("n")
        })
        .collect();
    p.repo.git(&["push", "-q", "origin", "main"]);
    for (commit, expected) in [(&commits[118], "118"), (&commits[3], "3")] {
        let fetched = p.fetcher().get(Want::Commit { commit, near: "main" }).unwrap();
        assert_eq!(content(&fetched, "n"), expected);
    }
    p.repo.write("n", "on top");
    let tip = p.repo.push("after a deep fetch");
    assert_eq!(p.fetcher().get(Want::Tip("main")).unwrap().commit, tip);
}

#[test]
fn an_old_commit_is_fetched_by_name_where_the_server_allows_it() {
    let p = place();
    p.repo.write("n", "old");
    let old = p.repo.push("old");
    p.repo.write("n", "new");
    p.repo.push("new");
    let config = p.repo.bare.join("config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "[uploadpack]\nallowReachableSHA1InWant = true\n").unwrap();
    let mut fetcher = p.fetcher();
    let fetched = fetcher.get(Want::Commit { commit: &old, near: "main" }).unwrap();
    assert_eq!(content(&fetched, "n"), "old");
    let objects = Repository::open_bare(p.store().objects()).unwrap();
    assert!(objects.revparse_single("refs/mayfly/heads/main").is_err(), "all history was fetched");
    p.server.take_requests();
    fetcher.get(Want::Commit { commit: &old, near: "main" }).unwrap();
    assert_eq!(p.server.take_requests().len(), 0, "a release that is there needs no network");
}

#[test]
fn a_commit_that_is_nowhere_and_a_branch_that_is_not_are_named() {
    let p = place();
    p.repo.write("a", "1");
    p.repo.push("one");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let error = p.fetcher().get(Want::Commit { commit, near: "main" }).unwrap_err();
    assert!(matches!(error, Error::NoCommit { .. }), "{error}");
    let error = p.fetcher().get(Want::Tip("master")).unwrap_err();
    assert!(matches!(error, Error::NoReference { .. }), "{error}");
}

#[test]
fn a_remote_that_is_away_or_breaks_off_leaves_no_release() {
    let p = place();
    p.repo.write("a", &"x".repeat(100_000));
    p.repo.push("one");
    for fault in [Fault::Down, Fault::CutPack] {
        p.server.set(fault.clone());
        let error = p.fetcher().get(Want::Tip("main")).unwrap_err();
        assert_eq!(fs::read_dir(p.dir.path().join("state/releases")).unwrap().count(), 0);
        assert!(matches!(error, Error::Unreachable { .. }), "{fault:?}: {error}");
    }
    p.server.set(Fault::None);
    assert!(p.fetcher().get(Want::Tip("main")).is_ok());
}

#[test]
fn a_stalled_fetch_ends_when_asked_to_stop() {
    let p = place();
    p.repo.write("a", "1");
    p.repo.push("one");
    p.server.set(Fault::StallPack);
    let cancel = Cancel::default();
    let mut fetcher = Fetcher::new(source(&p.server.url("states.git")), p.store(), cancel.clone());
    let worker = std::thread::spawn(move || fetcher.get(Want::Tip("main")));
    while !p.server.requests.lock().unwrap().iter().any(|r| r.starts_with("POST")) {
        std::thread::yield_now();
    }
    cancel.set();
    assert!(matches!(worker.join().unwrap(), Err(Error::Cancelled)));
}

#[test]
fn a_missing_repository_is_refused_not_away() {
    let p = place();
    let source = source(&p.server.url("none.git"));
    let error = Fetcher::new(source, p.store(), Cancel::default()).get(Want::Tip("main")).unwrap_err();
    assert!(error.to_string().contains("HTTP 404"), "{error}");
}

#[test]
fn a_token_goes_to_its_origin_and_must_be_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    repo.write("a", "1");
    repo.push("one");
    let server = GitHttp::start(dir.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46aHVzaA=="));
    let token = dir.path().join("token");
    fs::write(&token, "hush\n").unwrap();
    let mut with = source(&server.url("states.git"));
    let store = Store::open(&dir.path().join("state")).unwrap();
    let get = |source: &Source| {
        Fetcher::new(source.clone(), store.clone(), Cancel::default()).get(Want::Tip("main"))
    };
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("HTTP 401") && error.contains("token_file"), "{error}");
    with.token_file = Some(token.clone());
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("chmod 0600") && !error.contains("hush"), "{error}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(get(&with).is_ok());
}

#[test]
fn a_repository_on_this_machine_is_read_in_place() {
    let p = place();
    p.repo.write("top.sls", "one");
    let old = p.repo.push("one");
    p.repo.write("top.sls", "two");
    let new = p.repo.push("two");
    let mut fetcher =
        Fetcher::new(source(&format!("file://{}", p.repo.bare.display())), p.store(), Cancel::default());
    assert_eq!(fetcher.get(Want::Tip("main")).unwrap().commit, new);
    let fetched = fetcher.get(Want::Commit { commit: &old, near: "main" }).unwrap();
    assert_eq!(content(&fetched, "top.sls"), "one");
    assert!(!p.store().objects().exists());
}

#[test]
fn modes_links_and_submodules() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let p = place();
    p.repo.write("bin/run", "#!/bin/sh\n");
    fs::set_permissions(p.repo.work.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("bin/run", p.repo.work.join("link")).unwrap();
    p.repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        "160000,0123456789abcdef0123456789abcdef01234567,sub",
    ]);
    p.repo.git(&["add", "bin", "link"]);
    p.repo.git(&["commit", "-q", "-m", "one"]);
    p.repo.git(&["push", "-q", "origin", "HEAD:main"]);
    let fetched = p.fetcher().get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.notes, ["submodule sub is not fetched"]);
    assert_eq!(fs::metadata(fetched.path.join("link")).unwrap().permissions().mode() & 0o777, 0o755);
    symlink("/etc/passwd", p.repo.work.join("out")).unwrap();
    p.repo.git(&["add", "out"]);
    p.repo.git(&["commit", "-q", "-m", "two"]);
    p.repo.git(&["push", "-q", "origin", "HEAD:main"]);
    let error = p.fetcher().get(Want::Tip("main")).unwrap_err().to_string();
    assert!(error.contains("out: symlink to \"/etc/passwd\" leads out"), "{error}");
}

#[test]
fn ssh_with_a_key_and_a_known_host() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "it's states");
    let sshd = sshd::Sshd::start(dir.path());
    let store = Store::open(&dir.path().join("state")).unwrap();
    let path = repo.bare.display();
    let mut with = source("file:///x");
    with.remote = Remote::Ssh(crate::userdata::SshAddress {
        user: Some(sshd.user.clone()),
        host: "127.0.0.1".into(),
        port: Some(sshd.port),
        path: path.to_string(),
    });
    with.ssh_key_file = Some(sshd.key.clone());
    with.known_hosts_file = Some(sshd.known_hosts.clone());
    let get = |source: &Source| {
        Fetcher::new(source.clone(), store.clone(), Cancel::default()).get(Want::Tip("main"))
    };
    for round in ["one", "two"] {
        repo.write("top.sls", &round.repeat(50_000));
        let commit = repo.push(round);
        let fetched = get(&with).unwrap();
        assert_eq!((fetched.commit.as_str(), fetched.path.join("top.sls").exists()), (commit.as_str(), true));
    }
    let nobody = dir.path().join("empty");
    fs::write(&nobody, "").unwrap();
    with.known_hosts_file = Some(nobody);
    let error = get(&with).unwrap_err();
    assert!(error.to_string().contains("Host key verification failed"), "{error}");
    with.known_hosts_file = Some(sshd.known_hosts.clone());
    with.ssh_key_file = Some(dir.path().join("host_key"));
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("Permission denied"), "{error}");
}

#[test]
fn what_was_fetched_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let p = place();
    p.repo.write("pillar/secret.sls", "password: hush\n");
    p.repo.push("one");
    p.fetcher().get(Want::Tip("main")).unwrap();
    for folder in ["releases", "objects.git"] {
        let mode = fs::metadata(p.dir.path().join("state").join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

/// A file system of its own, of a size, below a folder; unmounted with the value.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(at)
            .status()
            .unwrap();
        assert!(status.success(), "mounts a tmpfs, as root");
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Text that no compression makes smaller.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    })
    .take(bytes / 16)
    .collect()
}

#[test]
fn a_full_disk_is_said_and_the_last_tree_stays_current() {
    let p = place();
    let disk = Tmpfs::mount(&p.dir.path().join("state"), "4m");
    p.repo.write("top.sls", "one");
    let good = p.repo.push("one");
    let mut fetcher = p.fetcher();
    fetcher.get(Want::Tip("main")).unwrap();
    p.store().flip(Link::Current, &good).unwrap();
    // A pack that there is no room for; one that there is room for, and then none for the files in it.
    for size in [12_000_000, 3_200_000] {
        p.repo.write("big", &noise(size));
        let big = p.repo.push("big");
        let error = fetcher.get(Want::Tip("main")).unwrap_err();
        assert!(matches!(error, Error::Disk(_)), "{error}");
        let store = p.store();
        assert_eq!(store.linked(Link::Current), Some(good.clone()));
        assert_eq!(store.release(&big), None, "a half-written release");
    }
    p.repo.write("big", "small");
    let small = p.repo.push("small again");
    assert_eq!(fetcher.get(Want::Tip("main")).unwrap().commit, small);
    drop(disk);
}

#[test]
fn a_branch_that_was_deleted_leaves_what_there_is() {
    let p = place();
    p.repo.write("top.sls", "one");
    let good = p.repo.push("one");
    let mut fetcher = p.fetcher();
    fetcher.get(Want::Tip("main")).unwrap();
    p.store().flip(Link::Current, &good).unwrap();
    p.repo.git(&["push", "-q", "origin", "HEAD:other"]);
    p.repo.git(&["--git-dir", p.repo.bare.to_str().unwrap(), "update-ref", "-d", "refs/heads/main"]);
    let error = fetcher.get(Want::Tip("main")).unwrap_err();
    assert!(matches!(error, Error::NoReference { .. }), "{error}");
    assert_eq!(p.store().linked(Link::Current), Some(good));
}

#[test]
fn objects_that_arrive_or_lie_there_damaged_are_never_a_release() {
    let p = place();
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    p.server.set(Fault::Corrupt);
    let mut fetcher = p.fetcher();
    let error = fetcher.get(Want::Tip("main")).unwrap_err();
    assert!(error.to_string().contains("what it sent is not usable"), "{error}");
    assert_eq!(fs::read_dir(p.dir.path().join("state/releases")).unwrap().count(), 0);
    p.server.set(Fault::None);
    fetcher.get(Want::Tip("main")).unwrap();
    // The cache of objects is damaged on disk: it is only a cache.
    for entry in fs::read_dir(p.store().objects().join("objects/pack")).unwrap().flatten() {
        let mut bytes = fs::read(entry.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0);
        fs::remove_file(entry.path()).unwrap();
        fs::write(entry.path(), bytes).unwrap();
    }
    p.repo.write("top.sls", "two");
    let second = p.repo.push("two");
    let fetched = fetcher.get(Want::Tip("main")).unwrap();
    assert_eq!((fetched.commit.as_str(), content(&fetched, "top.sls").as_str()), (second.as_str(), "two"));
}
