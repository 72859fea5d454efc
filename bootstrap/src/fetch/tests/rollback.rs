//! Commits that were signed once and are offered again.

use super::signers::Signed;
use super::*;

/// An older and a newer signed commit; the newer one is current, and both are at hand.
struct Applied {
    signed: Signed,
    first: GitHttp,
    old: String,
    new: String,
}

impl Applied {
    fn new() -> Self {
        let signed = Signed::new();
        let first = GitHttp::start(signed.p.dir.path(), None);
        let applied = Self { signed, first, old: String::new(), new: String::new() };
        let old = applied.signed.push_at(1_000, "old");
        applied.fetcher().get(Want::Tip("main")).unwrap();
        let new = applied.signed.push_at(2_000, "new");
        applied.fetcher().get(Want::Tip("main")).unwrap();
        applied.signed.p.store().flip(Link::Current, &new).unwrap();
        Self { old, new, ..applied }
    }

    fn source(&self) -> Source {
        let mut with = source(&self.first.url("states.git"));
        with.mirrors = vec![Remote::parse(&self.signed.p.server.url("states.git")).unwrap()];
        with.signed_by = vec![Signer::parse(&self.signed.public).unwrap()];
        with
    }

    fn fetcher(&self) -> Fetcher {
        fetcher(self.source(), self.signed.p.store())
    }

    /// Lets a branch name a commit.
    fn point(&self, branch: &str, commit: &str) {
        self.signed.p.repo.git(&["push", "-q", "-f", "origin", &format!("{commit}:refs/heads/{branch}")]);
    }
}

#[test]
fn a_mirror_cannot_replay_an_older_signed_commit() {
    let applied = Applied::new();
    applied.first.set(Fault::Down);
    applied.point("main", &applied.old);
    for at_hand in [true, false] {
        if !at_hand {
            let store = applied.signed.p.store();
            fs::remove_dir_all(store.release(&applied.old).unwrap()).unwrap();
            fs::remove_dir_all(store.objects()).unwrap();
        }
        let error = applied.fetcher().get(Want::Tip("main")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::StepsBack { .. }), "{text}");
        for part in
            [&applied.old[..12], &applied.new[..12], "is older than", &applied.first.url("states.git")]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    // What is newer is taken, and so is what was made on top of the current one by a clock that is behind.
    applied.point("main", &applied.new);
    let behind = applied.signed.push_at(1_500, "behind");
    assert_eq!(applied.fetcher().get(Want::Tip("main")).unwrap().commit, behind);
}

#[test]
fn the_first_remote_may_go_back_and_that_is_noted() {
    let applied = Applied::new();
    applied.point("main", &applied.old);
    let fetched = applied.fetcher().get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.commit, applied.old);
    let note = format!("{} goes back: {}", applied.first.url("states.git"), &applied.old[..12]);
    assert!(fetched.notes.len() == 1 && fetched.notes[0].starts_with(&note), "{:?}", fetched.notes);
    applied.point("main", &applied.new);
    assert!(applied.fetcher().get(Want::Tip("main")).unwrap().notes.is_empty());
}

#[test]
fn a_pinned_commit_and_another_reference_may_be_older_on_a_mirror() {
    let applied = Applied::new();
    applied.first.set(Fault::Down);
    applied.point("stable", &applied.old);
    assert_eq!(applied.fetcher().get(Want::Tip("stable")).unwrap().commit, applied.old);
    let store = applied.signed.p.store();
    fs::remove_dir_all(store.release(&applied.old).unwrap()).unwrap();
    let pinned = Want::Commit { commit: &applied.old, near: "main" };
    assert_eq!(applied.fetcher().get(pinned).unwrap().commit, applied.old);
}

#[test]
fn a_first_remote_without_encryption_is_held_to_what_a_mirror_is() {
    let applied = Applied::new();
    applied.point("main", &applied.old);
    let mut with = applied.source();
    // Nobody has this name: the proxy knows who is meant, and could be anybody on the way.
    with.remote = Remote::parse("http://git.example.invalid/states.git").unwrap();
    with.login.proxy = Some(applied.signed.p.server.url(""));
    with.mirrors = Vec::new();
    let error = fetcher(with, applied.signed.p.store()).get(Want::Tip("main")).unwrap_err();
    assert!(matches!(error, Error::StepsBack { .. }), "{error}");
}
