//! What goes through a proxy, and what does not.

use super::*;

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
