//! What the disk is asked for: who may read what was fetched, and where there is no room.

use super::*;

#[test]
fn what_was_fetched_is_for_its_owner_alone() {
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
    p.repo.publish();
    let error = p.fetcher().get(Want::Tip("main")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Tree { .. }) && text.contains("longer than 1024 KiB"), "{text}");
}
