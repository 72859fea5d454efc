//! Fetching from real repositories over real HTTP and from files.

// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods)]

use super::*;
use crate::aws::Environment;
use crate::disk::{Disk, noise, private};
use crate::http::Cancel;
use crate::userdata::{Secret, Signer};
use git_http::{Fault, GitHttp};
use git_repo::GitRepo;
use git2::Oid;
use std::fs;
use std::os::unix::fs::PermissionsExt;

mod disks;
mod faults;
mod logins;
mod modules;
mod proxies;
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
    use std::os::unix::fs::symlink;
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
    p.repo.publish();
    let fetched = p.fetcher().get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.notes, ["submodule sub is not fetched"]);
    assert_eq!(fs::metadata(fetched.path.join("link")).unwrap().permissions().mode() & 0o777, 0o755);
    symlink("/etc/passwd", p.repo.work.join("out")).unwrap();
    p.repo.git(&["add", "out"]);
    p.repo.git(&["commit", "-q", "-m", "two"]);
    p.repo.publish();
    let error = p.fetcher().get(Want::Tip("main")).unwrap_err().to_string();
    assert!(error.contains("out: symlink to \"/etc/passwd\" leads out"), "{error}");
}

/// A file with a token.
fn token(p: &Place) -> std::path::PathBuf {
    let token = p.dir.path().join("token");
    private(&token, "hush");
    token
}

/// Runs a program in the folder, which must succeed.
fn tool(dir: &Path, program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("{program} runs: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
