//! Submodules: what they may come to with their tree, and who is told what lets us in.

use super::*;
use std::time::Duration;

/// Puts submodules into a repository beside what is there, pushes, and gives the commit.
fn put(repo: &GitRepo, modules: &[(&str, &str, &str)]) -> String {
    let section = |(path, url, _): &(&str, &str, &str)| {
        format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
    };
    repo.write(".gitmodules", &modules.iter().map(section).collect::<String>());
    for (path, _, commit) in modules {
        repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
    }
    repo.git(&["add", ".gitmodules"]);
    repo.git(&["commit", "-q", "-m", "submodules"]);
    repo.publish()
}

#[test]
fn submodules_are_fetched_beside_their_tree() {
    let p = place();
    let (lib, inner) = (GitRepo::new(p.dir.path(), "lib"), GitRepo::new(p.dir.path(), "inner"));
    inner.write("deep.sls", "deep");
    let inner_commit = inner.push("inner");
    lib.write("lib.sls", "lib");
    lib.git(&["add", "lib.sls"]);
    let lib_commit = put(&lib, &[("sub", "../inner.git", &inner_commit)]);
    p.repo.write("top.sls", "one");
    p.repo.git(&["add", "top.sls"]);
    put(&p.repo, &[("sub", &p.server.url("lib.git"), &lib_commit)]);
    let fetched = p.fetcher().get(Want::Tip("main")).unwrap();
    assert_eq!(
        (content(&fetched, "sub/lib.sls"), content(&fetched, "sub/sub/deep.sls")),
        ("lib".into(), "deep".into())
    );
    assert!(fetched.notes.is_empty(), "{:?}", fetched.notes);
    // One that cannot be had is no tree; without submodules it is, and that is noted.
    for (url, part) in [("../gone.git", "submodule sub: remote"), ("file:///etc", "is not reached from")] {
        put(&p.repo, &[("sub", url, &lib_commit)]);
        let error = p.fetcher().get(Want::Tip("main")).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut without = source(&p.server.url("states.git"));
    without.submodules = false;
    let fetched = fetcher(without, p.store()).get(Want::Tip("main")).unwrap();
    assert_eq!(fetched.notes, ["submodule sub is not fetched"]);
}

#[test]
fn a_token_is_not_for_a_submodule_beside_a_mirror_on_another_host() {
    let p = place();
    let lib = GitRepo::new(p.dir.path(), "lib");
    lib.write("lib.sls", "lib");
    let commit = lib.push("lib");
    put(&p.repo, &[("sub", "../lib.git", &commit)]);
    let first = GitHttp::start(p.dir.path(), None);
    first.set(Fault::Gone);
    let mut with = source(&first.url("states.git"));
    with.login.token = Some(Secret::File(token(&p)));
    with.mirrors = vec![Remote::parse(&p.server.url("states.git")).unwrap()];
    let fetched = fetcher(with, p.store()).get(Want::Tip("main")).unwrap();
    assert_eq!(content(&fetched, "sub/lib.sls"), "lib");
    let asked = p.server.take_requests();
    assert!(asked.iter().any(|r| r.contains("/lib.git/")), "{asked:?}");
    assert!(asked.iter().all(|r| !r.contains("Basic")), "{asked:?}");
}

/// Pushes one file, and leaves the rest as it is.
fn add(repo: &GitRepo, path: &str, text: &str) {
    repo.write(path, text);
    repo.git(&["add", path]);
    repo.git(&["commit", "-q", "-m", path]);
    repo.publish();
}

/// Repositories of one file each.
fn repositories(p: &Place, names: &[&str], text: &str) -> Vec<(GitRepo, String)> {
    let one = |name: &&str| {
        let repo = GitRepo::new(p.dir.path(), name);
        repo.write("file", text);
        let commit = repo.push(name);
        (repo, commit)
    };
    names.iter().map(one).collect()
}

/// One get within bounds.
fn within(p: &Place, url: &str, change: impl Fn(&mut Bounds)) -> Result<Fetched, Error> {
    let mut bounds = Bounds::default();
    change(&mut bounds);
    let mut fetcher = fetcher(source(url), p.store());
    (fetcher.budget, fetcher.around) = (Budget::new(bounds, Instant::now()), Measure::new(bounds));
    fetcher.get(Want::Tip("main"))
}

/// That this is refused for the reason, and leaves no release.
fn refused(p: &Place, result: Result<Fetched, Error>, reason: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
    assert_eq!(p.store().release(&p.repo.git(&["rev-parse", "HEAD"])), None, "{error}");
}

#[test]
fn a_tree_with_too_many_submodules_is_refused_before_any_is_asked_for() {
    let p = place();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let all: Vec<(String, String)> = (0..65).map(|n| (format!("m{n}"), format!("../m{n}.git"))).collect();
    let all: Vec<(&str, &str, &str)> = all.iter().map(|(path, url)| (&**path, &**url, commit)).collect();
    put(&p.repo, &all);
    let url = p.server.url("states.git");
    refused(
        &p,
        within(&p, &url, |_| {}),
        "m0: more than 64 submodules; `submodules: false` leaves all of them out",
    );
    assert!(p.server.take_requests().iter().all(|request| !request.contains("/m")));
    // As many as that without an address are only told of.
    add(&p.repo, ".gitmodules", "");
    let notes = within(&p, &url, |_| {}).unwrap().notes;
    assert_eq!(notes.len(), 21, "{notes:?}");
}

#[test]
fn a_list_of_submodules_without_end_is_refused_unread() {
    let p = place();
    put(&p.repo, &[("sub", "../lib.git", "0123456789abcdef0123456789abcdef01234567")]);
    add(&p.repo, ".gitmodules", &"# nothing\n".repeat(110_000));
    refused(&p, p.fetcher().get(Want::Tip("main")), ".gitmodules: longer than 1024 KiB");
}

#[test]
fn files_of_submodules_count_with_those_of_their_tree_whether_they_are_at_hand_or_not() {
    let p = place();
    let lib = GitRepo::new(p.dir.path(), "lib");
    (0..5).for_each(|n| lib.write(&format!("f{n}"), "x"));
    let commit = lib.push("five files");
    put(&p.repo, &[("a", "../lib.git", &commit), ("b", "../lib.git", &commit)]);
    let url = p.server.url("states.git");
    // `.gitmodules`, two folders, and five files in each.
    for _ in 0..2 {
        refused(
            &p,
            within(&p, &url, |bounds| bounds.files = 12),
            ": more than 12 files, submodules included",
        );
    }
    let fetched = within(&p, &url, |bounds| bounds.files = 13).unwrap();
    assert_eq!(content(&fetched, "b/f4"), "x");
}

#[test]
fn bytes_of_submodules_count_with_those_of_the_trees_around_them() {
    let p = place();
    let libs = repositories(&p, &["lib", "inner"], &"x".repeat(1000));
    let inner = put(&libs[0].0, &[("deep", "../inner.git", &libs[1].1)]);
    put(&p.repo, &[("sub", "../lib.git", &inner)]);
    let url = p.server.url("states.git");
    let error = "submodule sub: submodule deep: ";
    refused(&p, within(&p, &url, |bounds| bounds.bytes = 2000), error);
    refused(&p, within(&p, &url, |bounds| bounds.bytes = 2000), "file: the tree is larger than 0 MiB");
    let fetched = within(&p, &url, |bounds| bounds.bytes = 2500).unwrap();
    assert_eq!(content(&fetched, "sub/deep/file").len(), 1000);
    // At hand it counts as well.
    add(&p.repo, "more", &"x".repeat(1000));
    let error = within(&p, &url, |bounds| bounds.bytes = 2500).unwrap_err().to_string();
    assert!(error.contains("file: the tree is larger than") && !error.contains("submodule sub"), "{error}");
}

#[test]
fn submodules_of_submodules_count_and_what_was_refused_once_is_whole_later() {
    let p = place();
    let leaves = repositories(&p, &["leaf1", "leaf2"], "leaf");
    let leaves = [("x", "../leaf1.git", &*leaves[0].1), ("y", "../leaf2.git", &*leaves[1].1)];
    let libs = repositories(&p, &["lib1", "lib2"], "lib");
    let commits: Vec<String> = libs.iter().map(|(repo, _)| put(repo, &leaves)).collect();
    put(&p.repo, &[("a", "../lib1.git", &commits[0]), ("b", "../lib2.git", &commits[1])]);
    let url = p.server.url("states.git");
    refused(
        &p,
        within(&p, &url, |bounds| bounds.submodules = 3),
        "b: more than 3 submodules, theirs included",
    );
    refused(&p, within(&p, &url, |bounds| bounds.nesting = 1), "x: submodules nest more than 1 deep");
    let fetched = within(&p, &url, |_| {}).unwrap();
    for path in ["a/x/file", "a/y/file", "b/x/file", "b/y/file"] {
        assert_eq!(content(&fetched, path), "leaf", "{path}");
    }
}

#[test]
fn what_remotes_send_and_the_time_they_take_is_counted_together() {
    let p = place();
    let libs = repositories(&p, &["lib1", "lib2"], &noise(300_000));
    let urls = [p.server.url("lib1.git"), p.server.url("lib2.git")];
    put(&p.repo, &[("a", &urls[0], &libs[0].1), ("b", &urls[1], &libs[1].1)]);
    // The tree itself comes from this machine, and costs none of it.
    let url = format!("file://{}", p.repo.bare.display());
    refused(&p, within(&p, &url, |bounds| bounds.within = Duration::ZERO), "has not sent all within 0s");
    // 300 KB of hexadecimal digits take half of that in a pack.
    let error = "sends more than 0 MiB, submodules included";
    refused(&p, within(&p, &url, |bounds| bounds.received = 250_000), error);
    let store = p.store();
    fs::remove_dir_all(store.dir().join("submodules")).unwrap();
    assert_eq!(
        content(&within(&p, &url, |bounds| bounds.received = 400_000).unwrap(), "b/file").len(),
        300_000
    );
}

#[test]
fn stores_of_submodules_that_no_tree_in_use_has_are_removed() {
    let p = place();
    let libs = repositories(&p, &["one", "two", "three", "four"], "lib");
    let tree = |modules: &[(usize, &str)]| {
        let all: Vec<(&str, &str, &str)> =
            modules.iter().map(|(n, url)| (["a", "b"][*n / 9], *url, &*libs[*n % 9].1)).collect();
        put(&p.repo, &all);
        p.fetcher().get(Want::Tip("main"))
    };
    let stores = || fs::read_dir(p.store().dir().join("submodules")).unwrap().count();
    let use_it = |fetched: &Fetched| {
        let store = p.store();
        store.flip(Link::Current, &fetched.commit).unwrap();
        store.flip(Link::Good, &fetched.commit).unwrap();
        store.prune().unwrap();
    };
    let first = tree(&[(0, "../one.git")]).unwrap();
    use_it(&first);
    assert_eq!(stores(), 1);
    let second = tree(&[(1, "../two.git")]).unwrap();
    assert_eq!(stores(), 2, "what is current is kept until something else is");
    use_it(&second);
    assert_eq!(stores(), 1);
    assert_eq!((content(&first, "a/file"), content(&second, "a/file")), ("lib".into(), "lib".into()));
    // Trees that fail, one after the other, do not fill the disk.
    for (n, url) in [(2, "../three.git"), (3, "../four.git"), (2, "../three.git")] {
        tree(&[(n, url), (9, "../gone.git")]).unwrap_err();
        assert!(stores() <= 3, "{}", stores());
    }
    p.store().prune().unwrap();
    assert_eq!(stores(), 1);
    p.server.take_requests();
    tree(&[(1, "../two.git")]).unwrap();
    let asked = p.server.take_requests();
    assert!(asked.iter().all(|request| !request.contains("/two.git/")), "it is at hand: {asked:?}");
}
