//! Remotes that are away, refuse, stall, break off, or send what cannot be used.

use super::logins::stand_in;
use super::*;

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
