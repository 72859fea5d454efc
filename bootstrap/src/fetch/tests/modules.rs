//! Submodules: what they may come to with their tree, and who is told what lets us in.

use super::*;

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
    repo.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
    repo.git(&["rev-parse", "HEAD"])
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
