//! Fetching from real repositories over real HTTP and from files.

// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods)]

use super::*;
use crate::aws::Environment;
use crate::disk::{Disk, noise};
use crate::http::Cancel;
use crate::userdata::Secret;
use git_http::{Fault, GitHttp};
use git_repo::GitRepo;
use git2::Oid;
use std::fs;

mod modules;
mod rollback;
mod signers;

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

/// A vault that nobody should ask, or one whose services are at `endpoint`.
fn vault(endpoint: &str) -> Arc<Vault> {
    let given = |text: &str| Some(text.to_owned());
    let environment = Environment {
        access_key: given("AKIDEXAMPLE"),
        secret_key: given("s3cret"),
        region: given("eu-west-1"),
        ssm: given(endpoint),
        secrets: given(endpoint),
        ..Environment::default()
    };
    Arc::new(Vault::new("http://127.0.0.1:1", environment, Cancel::default()))
}

fn fetcher(source: Source, store: Store) -> Fetcher {
    Fetcher::new(source, store, vault(""), Cancel::default())
}

impl Place {
    fn store(&self) -> Store {
        Store::open(&self.dir.path().join("state")).unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        fetcher(source(&self.server.url("states.git")), self.store())
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

/// Where the server gives no commit by its name, more of the history is asked for; what that comes to is another matter.
#[test]
fn a_remote_that_sends_too_much_is_not_taken_for_one_without_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    repo.write("n", "old");
    let old = repo.push("old");
    repo.write("n", &noise(300_000));
    repo.push("new");
    let server = GitHttp::start(dir.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46aHVzaA=="));
    let (endpoint, asked) = stand_in(|_| (200, "{\"Parameter\": {\"Value\": \"hush\"}}".to_owned()));
    let mut with = source(&server.url("states.git"));
    with.login.token = Some(Secret::Parameter("/git/token".into()));
    let store = Store::open(&dir.path().join("state")).unwrap();
    let mut fetcher = Fetcher::new(with, store, vault(&endpoint), Cancel::default());
    let bounds = Bounds { received: 100_000, ..Bounds::default() };
    fetcher.budget = Budget::new(bounds, Instant::now());
    for _ in 0..2 {
        let error = fetcher.get(Want::Commit { commit: &old, near: "main" }).unwrap_err();
        assert!(error.to_string().contains(" refuses: sends more than 0 MiB"), "{error}");
        assert!(!error.is_mistake(), "a tree that is there may stand in");
    }
    assert_eq!(asked.lock().unwrap().len(), 1, "what let us in is as good as before");
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
    let mut fetcher = Fetcher::new(source(&p.server.url("states.git")), p.store(), vault(""), cancel.clone());
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
    let error = fetcher(source, p.store()).get(Want::Tip("main")).unwrap_err();
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
    let get = |source: &Source| fetcher(source.clone(), store.clone()).get(Want::Tip("main"));
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("HTTP 401") && error.contains("token_file"), "{error}");
    with.login.token = Some(Secret::File(token.clone()));
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("chmod 0600") && !error.contains("hush"), "{error}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(get(&with).is_ok());
    // Somebody else's: who can write it chooses who we are to the repository.
    std::os::unix::fs::chown(&token, Some(65_534), None).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("belongs to user 65534") && !error.contains("hush"), "{error}");
}

#[test]
fn a_repository_on_this_machine_is_read_in_place() {
    let p = place();
    p.repo.write("top.sls", "one");
    let old = p.repo.push("one");
    p.repo.write("top.sls", "two");
    let new = p.repo.push("two");
    let mut fetcher = fetcher(source(&format!("file://{}", p.repo.bare.display())), p.store());
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
    with.login.ssh_key = Some(Secret::File(sshd.key.clone()));
    with.login.known_hosts_file = Some(sshd.known_hosts.clone());
    let get = |source: &Source| fetcher(source.clone(), store.clone()).get(Want::Tip("main"));
    for round in ["one", "two"] {
        repo.write("top.sls", &round.repeat(50_000));
        let commit = repo.push(round);
        let fetched = get(&with).unwrap();
        assert_eq!((fetched.commit.as_str(), fetched.path.join("top.sls").exists()), (commit.as_str(), true));
    }
    let nobody = dir.path().join("empty");
    fs::write(&nobody, "").unwrap();
    with.login.known_hosts_file = Some(nobody.clone());
    let error = get(&with).unwrap_err();
    assert!(error.to_string().contains("Host key verification failed"), "{error}");
    // Who can write it chooses whom we believe.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&nobody, fs::Permissions::from_mode(0o666)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("known_hosts_file /") && error.contains("chmod go-w"), "{error}");
    with.login.known_hosts_file = Some(sshd.known_hosts.clone());
    fs::set_permissions(&sshd.key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("chmod 0600"), "{error}");
    with.login.ssh_key = Some(Secret::File(dir.path().join("host_key")));
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

#[test]
fn a_full_disk_is_said_and_the_last_tree_stays_current() {
    let p = place();
    let disk = Disk::mount(&p.dir.path().join("state"), "4m");
    p.repo.write("top.sls", "one");
    let good = p.repo.push("one");
    let mut fetcher = p.fetcher();
    fetcher.get(Want::Tip("main")).unwrap();
    p.store().flip(Link::Current, &good).unwrap();
    // A pack that there is no room for; one that there is room for, and then none for the files in it.
    for (size, part) in [(12_000_000, "and the remote sends more"), (3_200_000, "No space left")] {
        p.repo.write("big", &noise(size));
        let big = p.repo.push("big");
        let error = fetcher.get(Want::Tip("main")).unwrap_err();
        assert!(matches!(error, Error::Disk(_)) && error.to_string().contains(part), "{error}");
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
fn a_commit_that_says_too_much_of_itself_is_refused_unread() {
    let p = place();
    let message = p.dir.path().join("message");
    fs::write(&message, "x".repeat(1_100_000)).unwrap();
    p.repo.write("top.sls", "one");
    p.repo.git(&["add", "-A"]);
    p.repo.git(&["commit", "-q", "-F", message.to_str().unwrap()]);
    p.repo.git(&["push", "-q", "origin", "HEAD:main"]);
    let error = p.fetcher().get(Want::Tip("main")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Tree { .. }) && text.contains("longer than 1024 KiB"), "{text}");
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

#[test]
fn another_remote_stands_in_for_the_first_and_that_is_noted() {
    let p = place();
    p.repo.write("top.sls", "one");
    let commit = p.repo.push("one");
    let first = GitHttp::start(p.dir.path(), None);
    let mut with = source(&first.url("states.git"));
    with.mirrors = vec![Remote::parse(&p.server.url("states.git")).unwrap()];
    let mut fetcher = fetcher(with, p.store());
    let requests = |server: &GitHttp| server.take_requests().len();
    assert!(fetcher.get(Want::Tip("main")).unwrap().notes.is_empty());
    assert_eq!(requests(&p.server), 0);
    assert!(fetcher.answered().starts_with(&first.url("")));
    for fault in [Fault::Down, Fault::Gone, Fault::Corrupt] {
        p.repo.write("top.sls", &format!("{fault:?}"));
        let fresh = p.repo.push("fresh");
        first.set(fault.clone());
        let fetched = fetcher.get(Want::Tip("main")).unwrap();
        assert_eq!(fetched.commit, fresh);
        assert!(fetched.notes[0].contains("stands in: remote http://"), "{:?}", fetched.notes);
        assert_eq!(fetcher.answered(), p.server.url("states.git"));
    }
    first.set(Fault::Down);
    p.server.set(Fault::Down);
    let error = fetcher.get(Want::Tip("main")).unwrap_err().to_string();
    assert!(error.contains(&first.url("")), "of several the first is told of: {error}");
    assert_eq!(fetcher.get(Want::Commit { commit: &commit, near: "main" }).unwrap().commit, commit);
}

/// A file with a token.
fn token(p: &Place) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let token = p.dir.path().join("token");
    fs::write(&token, "hush").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    token
}

#[test]
fn a_token_is_not_for_a_mirror_on_another_host() {
    let p = place();
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    let token = token(&p);
    let first = GitHttp::start(p.dir.path(), None);
    first.set(Fault::Gone);
    let mut with = source(&first.url("states.git"));
    with.login.token = Some(Secret::File(token));
    with.mirrors = vec![Remote::parse(&p.server.url("states.git")).unwrap()];
    fetcher(with, p.store()).get(Want::Tip("main")).unwrap();
    assert!(first.take_requests().iter().all(|r| r.contains(" Basic ")));
    assert!(p.server.take_requests().iter().all(|r| !r.contains("Basic")));
}

/// Runs a program in the folder, which must succeed.
fn tool(dir: &Path, program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("{program} runs: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn only_commits_signed_by_a_listed_ssh_key_are_used() {
    let p = place();
    let keys = ["ed25519", "rsa", "ecdsa"];
    for kind in keys.into_iter().chain(["other"]) {
        let algorithm = if kind == "other" { "ed25519" } else { kind };
        tool(p.dir.path(), "ssh-keygen", &["-q", "-t", algorithm, "-N", "", "-f", &format!("key-{kind}")]);
    }
    let public = |kind: &str| fs::read_to_string(p.dir.path().join(format!("key-{kind}.pub"))).unwrap();
    let listed = p.dir.path().join("signers");
    fs::write(&listed, format!("# ours\nme@example.com {}", public("ecdsa"))).unwrap();
    let mut with = source(&p.server.url("states.git"));
    with.signed_by = [&public("ed25519"), &public("rsa"), listed.to_str().unwrap()]
        .map(|text| crate::userdata::Signer::parse(text).unwrap())
        .to_vec();
    let get = || fetcher(with.clone(), p.store()).get(Want::Tip("main"));
    let sign = |kind: &str, text: &str| {
        p.repo.write("top.sls", text);
        p.repo.git(&["add", "-A"]);
        let key = format!("user.signingkey={}", p.dir.path().join(format!("key-{kind}")).display());
        p.repo.git(&["-c", "gpg.format=ssh", "-c", &key, "commit", "-q", "-S", "-m", text]);
        p.repo.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        p.repo.git(&["rev-parse", "HEAD"])
    };
    for kind in keys {
        let commit = sign(kind, kind);
        assert_eq!(get().unwrap().commit, commit, "{kind}");
        assert!(fetcher(with.clone(), p.store()).at_hand(&commit).is_some());
    }
    let refused = |part: &str| {
        let error = get().unwrap_err();
        assert!(matches!(error, Error::NotSigned { .. }) && error.to_string().contains(part), "{error}");
    };
    sign("other", "other");
    refused("signed by an SSH key that is not listed");
    p.repo.write("top.sls", "unsigned");
    p.repo.push("unsigned");
    refused("is not signed");
    // A good signature under other content.
    let good = sign("ed25519", "good");
    let raw = p.repo.git(&["cat-file", "commit", &good]).replace("good", "evil") + "\n";
    fs::write(p.repo.work.join("forged"), raw).unwrap();
    let forged = p.repo.git(&["hash-object", "-t", "commit", "-w", "forged"]);
    p.repo.git(&["push", "-q", "-f", "origin", &format!("{forged}:refs/heads/main")]);
    refused("not that of its content");
    // A tree that came without the policy, as one baked into an image, is judged when it is looked for.
    let mut without = fetcher(source(&p.server.url("states.git")), p.store());
    sign("other", "again");
    let baked = without.get(Want::Tip("main")).unwrap().commit;
    assert!(without.at_hand(&baked).is_some());
    assert_eq!(fetcher(with.clone(), p.store()).at_hand(&baked), None);
    refused("signed by an SSH key that is not listed");
}

/// A home of the real gpg, and a program that uses it; its agent ends with the value.
struct Keyring {
    home: std::path::PathBuf,
    program: std::path::PathBuf,
}

impl Keyring {
    fn new(dir: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let (home, program) = (dir.join("gnupg"), dir.join("gpg-of-the-test"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let script = format!("#!/bin/sh\nexec gpg --homedir {} --batch --quiet \"$@\"\n", home.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { home, program }
    }

    fn generate(&self, who: &str) {
        let key = ["--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "never"];
        tool(&self.home, self.program.to_str().unwrap(), &key);
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        tool(&self.home, "gpgconf", &["--homedir", self.home.to_str().unwrap(), "--kill", "all"]);
    }
}

#[test]
fn only_commits_signed_by_a_listed_pgp_key_are_used() {
    let p = place();
    let home = Keyring::new(p.dir.path());
    let gpg = home.program.to_str().unwrap();
    ["ours@example.com", "other@example.com"].iter().for_each(|who| home.generate(who));
    tool(p.dir.path(), gpg, &["--armor", "--output", "ours.asc", "--export", "ours@example.com"]);
    let listed = fs::read_to_string(p.dir.path().join("ours.asc")).unwrap();
    let mut with = source(&p.server.url("states.git"));
    with.signed_by = vec![crate::userdata::Signer::parse(&listed).unwrap()];
    let get = || fetcher(with.clone(), p.store()).get(Want::Tip("main"));
    let sign = |who: &str| {
        p.repo.write("top.sls", who);
        p.repo.git(&["add", "-A"]);
        let program = format!("gpg.program={gpg}");
        let key = format!("user.signingkey={who}");
        p.repo.git(&["-c", &program, "-c", &key, "commit", "-q", "-S", "-m", who]);
        p.repo.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        p.repo.git(&["rev-parse", "HEAD"])
    };
    let good = sign("ours@example.com");
    assert_eq!(get().unwrap().commit, good);
    sign("other@example.com");
    let error = get().unwrap_err().to_string();
    assert!(error.contains("signed by a PGP key that is not listed"), "{error}");
    let raw =
        p.repo.git(&["cat-file", "commit", &good]).replace("ours@example.com", "evil@example.com") + "\n";
    fs::write(p.repo.work.join("forged"), raw).unwrap();
    let forged = p.repo.git(&["hash-object", "-t", "commit", "-w", "forged"]);
    p.repo.git(&["push", "-q", "-f", "origin", &format!("{forged}:refs/heads/main")]);
    let error = get().unwrap_err().to_string();
    assert!(error.contains("not that of its content"), "{error}");
}

#[test]
fn submodules_are_fetched_beside_their_tree() {
    let p = place();
    let (lib, inner) = (GitRepo::new(p.dir.path(), "lib"), GitRepo::new(p.dir.path(), "inner"));
    inner.write("deep.sls", "deep");
    let inner_commit = inner.push("inner");
    let add = |repo: &GitRepo, url: &str, commit: &str| {
        repo.write(".gitmodules", &format!("[submodule \"x\"]\n\tpath = sub\n\turl = {url}\n"));
        repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
        repo.git(&["add", ".gitmodules"]);
        repo.git(&["commit", "-q", "-m", "submodule"]);
        repo.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        repo.git(&["rev-parse", "HEAD"])
    };
    lib.write("lib.sls", "lib");
    lib.git(&["add", "lib.sls"]);
    let lib_commit = add(&lib, "../inner.git", &inner_commit);
    p.repo.write("top.sls", "one");
    p.repo.git(&["add", "top.sls"]);
    add(&p.repo, &p.server.url("lib.git"), &lib_commit);
    let fetched = p.fetcher().get(Want::Tip("main")).unwrap();
    assert_eq!(
        (content(&fetched, "sub/lib.sls"), content(&fetched, "sub/sub/deep.sls")),
        ("lib".into(), "deep".into())
    );
    assert!(fetched.notes.is_empty(), "{:?}", fetched.notes);
    // One that cannot be had is no tree; without submodules it is, and that is noted.
    for (url, part) in [("../gone.git", "submodule sub: remote"), ("file:///etc", "is not reached from")] {
        add(&p.repo, url, &lib_commit);
        let error = p.fetcher().get(Want::Tip("main")).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut without = source(&p.server.url("states.git"));
    without.submodules = false;
    let fetched = fetcher(without, p.store()).get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.notes, ["submodule sub is not fetched"]);
}

/// A server of JSON that keeps the heads and bodies it was sent.
fn stand_in(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = log.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut text, mut length) = (String::new(), 0);
            while reader.read_line(&mut text).unwrap_or(0) > 0 && !text.ends_with("\r\n\r\n") {
                let last = text.lines().last().unwrap_or_default().to_ascii_lowercase();
                length = last.strip_prefix("content-length: ").map_or(length, |n| n.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            text.push_str(&String::from_utf8_lossy(&body));
            let (status, body) = answer(&text);
            seen.lock().unwrap().push(text);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (url, log)
}

#[test]
fn a_github_app_is_given_a_token_by_its_claim_and_asks_again_when_it_ends() {
    let p = place();
    tool(p.dir.path(), "openssl", &["genrsa", "-out", "app.pem", "2048"]);
    tool(p.dir.path(), "openssl", &["rsa", "-in", "app.pem", "-pubout", "-out", "app.pub"]);
    use std::os::unix::fs::PermissionsExt;
    let key = p.dir.path().join("app.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // A stand-in of the one endpoint of api.github.com; the claim is judged by openssl.
    let dir = p.dir.path().to_owned();
    let left = Arc::new(std::sync::atomic::AtomicI64::new(4));
    let minutes = left.clone();
    let (api, asked) = stand_in(move |text| {
        assert!(text.starts_with("POST /app/installations/42/access_tokens HTTP/1.1"), "{text}");
        let claim = text.lines().find_map(|l| l.strip_prefix("authorization: Bearer ")).unwrap();
        let (told, signature) = claim.rsplit_once('.').unwrap();
        let decode = |text: &str| {
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
        };
        fs::write(dir.join("told"), told).unwrap();
        fs::write(dir.join("signature"), decode(signature)).unwrap();
        tool(&dir, "openssl", &["dgst", "-sha256", "-verify", "app.pub", "-signature", "signature", "told"]);
        let claims: serde_json::Value =
            serde_json::from_slice(&decode(told.split('.').nth(1).unwrap())).unwrap();
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!(claims["iss"] == "Iv1.0123" && lifetime <= 600, "{claims}");
        let end = chrono::Utc::now()
            + chrono::TimeDelta::minutes(minutes.load(std::sync::atomic::Ordering::SeqCst));
        (201, format!("{{\"token\": \"ghs_x\", \"expires_at\": \"{}\"}}", end.to_rfc3339()))
    });
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "x-access-token:ghs_x");
    let server = GitHttp::start(p.dir.path(), Some(&format!("Basic {basic}")));
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    let text = format!(
        "#mayfly\nrole: web\nstates: {{url: '{}', github_app: {{id: Iv1.0123, installation: 42, \
         key: {{file: {}}}, api: '{api}'}}}}\n",
        server.url("states.git"),
        key.display()
    );
    let with = crate::userdata::parse(text.as_bytes()).unwrap().states;
    let mut fetcher = fetcher(with, p.store());
    let count = |fetcher: &mut Fetcher| {
        fetcher.get(Want::Tip("main")).unwrap();
        asked.lock().unwrap().len()
    };
    assert_eq!(count(&mut fetcher), 1);
    // It had four minutes left, which is too near its end; the next one has an hour.
    left.store(60, std::sync::atomic::Ordering::SeqCst);
    assert_eq!([count(&mut fetcher), count(&mut fetcher)], [2, 2]);
}

#[test]
fn a_deploy_key_from_a_vault_is_never_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    repo.write("top.sls", "one");
    let commit = repo.push("one");
    let sshd = sshd::Sshd::start(dir.path());
    let key = fs::read_to_string(&sshd.key).unwrap();
    fs::remove_file(&sshd.key).unwrap();
    let (endpoint, asked) = stand_in(move |_| {
        (
            200,
            serde_json::json!({"SecretString": serde_json::json!({"key": key.trim_end()}).to_string()})
                .to_string(),
        )
    });
    let mut with = source("file:///x");
    with.remote = Remote::Ssh(crate::userdata::SshAddress {
        user: Some(sshd.user.clone()),
        host: "127.0.0.1".into(),
        port: Some(sshd.port),
        path: repo.bare.display().to_string(),
    });
    with.login.ssh_key = Some(Secret::Managed("deploy".into(), Some("key".into())));
    with.login.known_hosts_file = Some(sshd.known_hosts.clone());
    let store = Store::open(&dir.path().join("state")).unwrap();
    let mut fetcher = Fetcher::new(with, store, vault(&endpoint), Cancel::default());
    assert_eq!(fetcher.get(Want::Tip("main")).unwrap().commit, commit);
    fetcher.get(Want::Tip("main")).unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1, "it is kept for a while");
    assert!(
        asked[0].contains("x-amz-target: secretsmanager.GetSecretValue")
            && asked[0].ends_with("{\"SecretId\":\"deploy\"}")
    );
}

#[test]
fn a_vault_that_refuses_is_named_and_its_words_are_not_told() {
    let p = place();
    let (endpoint, _) =
        stand_in(|_| (400, "{\"__type\":\"x#ParameterNotFound\",\"message\":\"hush\"}".to_owned()));
    let mut with = source(&p.server.url("states.git"));
    with.login.token = Some(Secret::Parameter("/git/token".into()));
    let mut fetcher = Fetcher::new(with, p.store(), vault(&endpoint), Cancel::default());
    let error = fetcher.get(Want::Tip("main")).unwrap_err().to_string();
    assert_eq!(error, "SSM parameter /git/token: SSM answers HTTP 400 (ParameterNotFound)");
}

#[test]
fn a_proxy_of_user_data_is_on_the_way() {
    let p = place();
    p.repo.write("top.sls", "one");
    let commit = p.repo.push("one");
    // Nobody has this name: only a proxy can know who is meant.
    let mut with = source("http://git.example.invalid/states.git");
    with.login.proxy = Some(p.server.url(""));
    assert_eq!(fetcher(with.clone(), p.store()).get(Want::Tip("main")).unwrap().commit, commit);
    assert!(p.server.take_requests().iter().all(|r| r.contains(" http://git.example.invalid/states.git/")));
    with.login.proxy = None;
    let error = fetcher(with, p.store()).get(Want::Tip("main")).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn what_is_for_this_machine_goes_through_no_proxy() {
    let p = place();
    p.repo.write("top.sls", "one");
    let commit = p.repo.push("one");
    // It answers whatever it is asked for, and keeps whom it was asked for.
    let proxy = GitHttp::start(p.dir.path(), None);
    let mut with = source(&p.server.url("states.git"));
    with.login.proxy = Some(proxy.url(""));
    with.login.token = Some(Secret::File(token(&p)));
    assert_eq!(fetcher(with, p.store()).get(Want::Tip("main")).unwrap().commit, commit);
    assert_eq!(proxy.take_requests(), [""; 0]);
    assert!(p.server.take_requests().iter().all(|r| r.contains(" Basic ")));
}
