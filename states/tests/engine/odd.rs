//! `file.*` where something is wrong: odd targets, wrong declarations, full and immutable file systems.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::bench::{Bench, in_mount_namespace, json, need_root, only, step};
use mayfly_states::report::Outcome;

fn fifo(bench: &Bench, path: &str) {
    nix::unistd::mkfifo(&bench.at(path), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
}

#[test]
fn managed_refuses_directories_fifos_and_links() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("/etc/dir")).unwrap();
    fifo(&bench, "/etc/fifo");
    bench.write("/etc/victim", "mine");
    symlink(bench.at("/etc/victim"), bench.at("/etc/link")).unwrap();
    for (path, kind) in
        [("/etc/dir", "a directory"), ("/etc/fifo", "a FIFO"), ("/etc/link", "a symbolic link")]
    {
        let comment = bench.refuses(&step("file.managed", path, json!({"contents": "yours"})));
        assert!(comment.contains(kind), "{comment}");
    }
}

#[test]
fn managed_follows_or_replaces_a_link_only_when_told() {
    let bench = Bench::new();
    bench.write("/etc/real", "old");
    symlink(bench.at("/etc/real"), bench.at("/etc/link")).unwrap();
    bench.change(&step("file.managed", "/etc/link", json!({"contents": "through", "follow_symlinks": true})));
    assert_eq!(bench.read("/etc/real"), "through\n");
    assert!(bench.at("/etc/link").is_symlink());
    bench.change(&step(
        "file.managed",
        "/etc/link",
        json!({"contents": "instead", "follow_symlinks": false}),
    ));
    assert_eq!(bench.read("/etc/real"), "through\n");
    assert!(!bench.at("/etc/link").is_symlink());
}

#[test]
fn a_source_that_leads_out_of_the_tree_is_refused() {
    let bench = Bench::new();
    let inside = bench.tree("web/ok", "x");
    std::fs::write(bench.scratch("secret"), "secret").unwrap();
    symlink(bench.scratch("secret"), inside.with_file_name("leak")).unwrap();
    let managed = |source: &str| step("file.managed", "/etc/a", json!({"source": source}));
    assert!(bench.refuses(&managed("salt://web/leak")).contains("leads out of the tree"));
    assert!(bench.refuses(&managed("salt://../secret")).contains("inside the tree"));
    assert_eq!(bench.refuses(&managed("salt://web/none")), "the tree has no file salt://web/none");
    assert!(bench.refuses(&managed("salt://web")).contains("not a regular file"));
}

#[test]
fn wrong_declarations_are_told_by_argument() {
    let bench = Bench::new();
    let refused = |args| bench.refuses(&step("file.managed", "/etc/a", args));
    assert_eq!(
        refused(json!({"contents": "x", "source": "salt://y"})),
        "only one of source, contents can be given"
    );
    assert_eq!(
        refused(json!({"mode": "rw"})),
        "`mode` must be permission bits such as '0644', but is \"rw\""
    );
    assert_eq!(
        refused(json!({"makedirs": "perhaps"})),
        "`makedirs` must be true or false, but is \"perhaps\""
    );
    assert_eq!(refused(json!({"contents": {"a": 1}})), "`contents` must be text or a list of lines");
    assert_eq!(
        refused(json!({"contents_pillar": "a:b"})),
        "contents_pillar: the pillar has no `a:b` (nothing at `a`)"
    );
    assert_eq!(
        refused(json!({"contents": "x", "template": "mako"})),
        "`template: mako` is not supported; jinja is"
    );
    let relative = bench.refuses(&step("file.managed", "etc/a", json!({})));
    assert_eq!(relative, "\"etc/a\" is not an absolute path");
    assert!(bench.refuses(&step("file.absent", "/etc/../..", json!({}))).contains("`..`"));
    assert_eq!(bench.refuses(&step("file.absent", "//", json!({}))), "/ is not removed");
    assert!(bench.refuses(&step("file.symlink", "/etc/a", json!({}))).contains("`target` is missing"));
    assert!(bench.refuses(&step("file.directory", "/etc", json!({"recurse": ["all"]}))).contains("recurse"));
}

#[test]
fn a_source_hash_that_does_not_match_writes_nothing() {
    let bench = Bench::new();
    bench.tree("x", "x");
    let hash = format!("sha256={}", "0".repeat(64));
    let managed = step("file.managed", "/etc/a", json!({"source": "salt://x", "source_hash": hash}));
    assert!(bench.refuses(&managed).contains("source_hash asks for"));
}

#[test]
fn symlink_and_directory_take_the_place_of_other_things_only_by_force() {
    let bench = Bench::new();
    bench.write("/srv/a", "mine");
    bench.write("/srv/d/x", "mine");
    fifo(&bench, "/srv/fifo");
    let link = |path: &str, force| step("file.symlink", path, json!({"target": "/t", "force": force}));
    assert!(bench.refuses(&link("/srv/a", false)).contains("force: true"));
    assert!(bench.refuses(&link("/srv/d", false)).contains("force: true"));
    bench.change(&link("/srv/a", true));
    bench.change(&link("/srv/d", true));
    let directory = |path: &str, force| step("file.directory", path, json!({"force": force}));
    assert!(bench.refuses(&directory("/srv/a", false)).contains("a symbolic link"));
    bench.change(&directory("/srv/a", true));
    assert!(bench.refuses(&directory("/srv/fifo", true)).contains("a FIFO"));
}

#[test]
fn an_immutable_file_stays_whole_and_the_step_says_why() {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/a", "old");
    let path = bench.at("/etc/a");
    let chattr = |flag| Command::new("chattr").arg(flag).arg(&path).status().is_ok_and(|s| s.success());
    assert!(chattr("+i"), "chattr +i does not work on the file system of the temporary directory");
    let before = bench.snapshot();
    let failed = only(bench.run(&[step("file.managed", "/etc/a", json!({"contents": "new"}))]));
    assert!(chattr("-i"));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(
        failed.comment.starts_with("cannot replace ") && failed.comment.contains("not permitted"),
        "{}",
        failed.comment
    );
    assert_eq!(before, bench.snapshot());
}

#[test]
fn full_and_read_only_file_systems_leave_the_old_file_whole() {
    use nix::mount::{MsFlags, mount};
    in_mount_namespace(|| {
        let bench = Bench::new();
        std::fs::create_dir(bench.at("/small")).unwrap();
        let small = bench.at("/small");
        mount(Some("tmpfs"), &small, Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        bench.write("/small/a", "old");
        let big = step("file.managed", "/small/a", json!({"contents": "x".repeat(200_000)}));
        let comment = bench.refuses(&big);
        assert!(comment.starts_with("cannot write ") && comment.contains("No space left"), "{comment}");
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &small, None::<&str>, flags, None::<&str>).unwrap();
        let comment = bench.refuses(&step("file.managed", "/small/a", json!({"contents": "new"})));
        assert!(comment.contains("Read-only file system"), "{comment}");
    });
}

#[test]
fn absent_refuses_a_tree_that_holds_a_mount_point() {
    use nix::mount::{MsFlags, mount};
    in_mount_namespace(|| {
        let bench = Bench::new();
        bench.write("/srv/tree/file", "x");
        let inner = bench.at("/srv/tree/disk");
        std::fs::create_dir(&inner).unwrap();
        mount(Some("tmpfs"), &inner, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let comment = bench.refuses(&step("file.absent", "/srv/tree", json!({})));
        assert!(comment.contains("is a mount point"), "{comment}");
        nix::mount::umount(&inner).unwrap();
    });
}

#[test]
fn a_link_on_the_way_that_leads_out_of_the_root_is_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.scratch("outside")).unwrap();
    symlink(bench.scratch("outside"), bench.at("/run")).unwrap();
    let comment = bench.refuses(&step("file.managed", "/run/a", json!({"contents": "x"})));
    assert!(comment.contains("leads out of the root"), "{comment}");
    assert!(!bench.scratch("outside").join("a").exists());
}

#[test]
fn a_link_to_a_directory_will_do_but_nothing_is_changed_through_it() {
    let bench = Bench::new();
    bench.write("/srv/v1/file", "x");
    symlink("v1", bench.at("/srv/app")).unwrap();
    bench.same(&step("file.directory", "/srv/app", json!({})));
    for args in
        [json!({"mode": "0700"}), json!({"clean": true}), json!({"user": "1234", "recurse": ["user"]})]
    {
        let comment = bench.refuses(&step("file.directory", "/srv/app", args));
        assert!(comment.contains("not changed through the link"), "{comment}");
    }
}
