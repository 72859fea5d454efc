//! The editing and moving `file.*` states where something is wrong: odd targets, secrets, links, what is too long.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::symlink;

use crate::bench::{Bench, in_mount_namespace, json, only, step, value};
use mayfly_states::report::Outcome;
use mayfly_states::value::Value;

/// One declaration of each editing state, which would change `x = 1`.
fn edits(path: &str) -> Vec<mayfly_states::low::Chunk> {
    let one = |function: &str, args| step(function, path, args);
    vec![
        one("file.replace", json!({"pattern": "x", "repl": "y"})),
        one("file.append", json!({"text": "z"})),
        one("file.prepend", json!({"text": "z"})),
        one("file.line", json!({"mode": "replace", "match": "x", "content": "y"})),
        one("file.blockreplace", json!({"content": "z", "append_if_not_found": true})),
        one("file.comment", json!({"regex": "^x"})),
        one("file.keyvalue", json!({"key": "x", "value": "2", "separator": " = "})),
        one("file.serialize", json!({"dataset": {"a": 1}})),
        one("file.decode", json!({"encoded_data": "eA=="})),
    ]
}

#[test]
fn edits_refuse_what_is_no_regular_file() {
    let bench = Bench::new();
    bench.write("/etc/victim", "x = 1\n");
    symlink("victim", bench.at("/etc/link")).unwrap();
    std::fs::create_dir(bench.at("/etc/dir")).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&bench.at("/etc/fifo"), mode).unwrap();
    for (path, kind) in
        [("/etc/link", "a symbolic link"), ("/etc/dir", "a directory"), ("/etc/fifo", "a FIFO")]
    {
        for edit in edits(path) {
            let comment = bench.refuses(&edit);
            assert!(comment.contains(kind), "{} of {path}: {comment}", edit.fun);
        }
    }
}

#[test]
fn edits_follow_a_link_only_when_told_and_never_out_of_the_root() {
    let bench = Bench::new();
    bench.write("/etc/real", "x = 1\n");
    symlink("real", bench.at("/etc/link")).unwrap();
    let args = json!({"text": "z", "follow_symlinks": true});
    bench.change(&step("file.append", "/etc/link", args.clone()));
    assert_eq!(bench.read("/etc/real"), "x = 1\nz\n");
    assert!(bench.at("/etc/link").is_symlink());
    std::fs::write(bench.scratch("outside"), "x = 1\n").unwrap();
    symlink(bench.scratch("outside"), bench.at("/etc/away")).unwrap();
    let comment = bench.refuses(&step("file.append", "/etc/away", args));
    assert!(comment.contains("leads out of the root"), "{comment}");
    assert_eq!(std::fs::read_to_string(bench.scratch("outside")).unwrap(), "x = 1\n");
}

#[test]
fn what_is_no_text_or_too_long_is_not_edited() {
    let bench = Bench::new();
    std::fs::write(bench.at("/etc/binary"), b"x = \xff\n").unwrap();
    let args = json!({"pattern": "x", "repl": "y"});
    assert!(bench.refuses(&step("file.replace", "/etc/binary", args.clone())).contains("not UTF-8"));
    std::fs::File::create(bench.at("/etc/long")).unwrap().set_len(17 << 20).unwrap();
    assert!(bench.refuses(&step("file.replace", "/etc/long", args)).contains("longer than"));
}

#[test]
fn an_expression_that_would_take_for_ever_is_given_up() {
    let bench = Bench::new();
    bench.write("/etc/a", &"a".repeat(60));
    let args = json!({"pattern": r"(?:(?=a)a+)+b", "repl": "y"});
    let comment = bench.refuses(&step("file.replace", "/etc/a", args));
    assert!(comment.contains("acktrack"), "{comment}");
}

#[test]
fn a_replacement_that_grows_without_end_is_given_up() {
    let bench = Bench::new();
    bench.write("/etc/a", &"a".repeat(1 << 20));
    let args = json!({"pattern": "a", "repl": "b".repeat(1 << 10)});
    let comment = bench.refuses(&step("file.replace", "/etc/a", args));
    assert!(comment.contains("too large"), "{comment}");
}

#[test]
fn secrets_are_not_in_the_report() {
    let mut bench = Bench::new();
    let Value::Map(pillar) = value(json!({"db": {"password": "hunter2", "key": "aHVudGVyMg=="}})) else {
        panic!("pillar is a mapping");
    };
    bench.pillar = pillar;
    for path in ["/etc/a", "/etc/b", "/etc/c"] {
        bench.write(path, "old\n");
    }
    let steps = [
        step("file.serialize", "/etc/a", json!({"dataset_pillar": "db"})),
        step("file.decode", "/etc/b", json!({"contents_pillar": "db:key"})),
        step("file.append", "/etc/c", json!({"text": "hunter2", "show_changes": false})),
    ];
    for report in [bench.test(&steps), bench.run(&steps)] {
        assert_eq!(report.changed(), 3);
        let all = report.to_text() + &report.to_salt_json().to_string();
        assert!(!all.contains("hunter") && !all.contains("aHVud"), "{all}");
    }
    assert_eq!(bench.read("/etc/b"), "hunter2");
}

#[test]
fn a_full_disk_leaves_the_old_file_and_the_old_tree() {
    use nix::mount::{MsFlags, mount};
    in_mount_namespace(|| {
        let bench = Bench::new();
        let small = bench.at("/small");
        std::fs::create_dir(&small).unwrap();
        mount(Some("tmpfs"), &small, Some("tmpfs"), MsFlags::empty(), Some("size=128k")).unwrap();
        bench.write("/small/a", "old\n");
        bench.write("/small/copy/a", "old\n");
        bench.write("/srv/big/a", "new\n");
        bench.write("/srv/big/b", &"x".repeat(200_000));
        bench.tree("t/a", "new\n");
        bench.tree("t/b", &"x".repeat(200_000));
        for big in [
            step("file.append", "/small/a", json!({"text": "y".repeat(200_000)})),
            step("file.copy", "/small/copy", json!({"source": "/srv/big", "force": true})),
        ] {
            let comment = bench.refuses(&big);
            assert!(comment.contains("No space left"), "{comment}");
        }
        let failed = only(bench.run(&[step("file.recurse", "/small/r", json!({"source": "salt://t"}))]));
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(failed.comment.contains("No space left"), "{}", failed.comment);
        assert_eq!(bench.read("/small/r/a"), "new\n");
        assert!(!bench.at("/small/r/b").exists());
    });
}

#[test]
fn recurse_keeps_to_the_tree_and_to_the_directory() {
    let bench = Bench::new();
    bench.tree("t/a", "x");
    std::fs::write(bench.scratch("secret"), "secret").unwrap();
    symlink(bench.scratch("secret"), bench.scratch("tree/t/leak")).unwrap();
    let recurse = |args| step("file.recurse", "/srv/r", args);
    let comment = bench.refuses(&recurse(json!({"source": "salt://t"})));
    assert!(comment.contains("leads out of the tree"), "{comment}");
    std::fs::remove_file(bench.scratch("tree/t/leak")).unwrap();
    symlink(".", bench.scratch("tree/t/again")).unwrap();
    let comment = bench.refuses(&recurse(json!({"source": "salt://t"})));
    assert!(comment.contains("cannot look through"), "{comment}");
    bench.change(&recurse(json!({"source": "salt://t", "keep_symlinks": true})));

    // What `clean` removes is what stands in the directory, never what a link in it points to.
    bench.write("/srv/precious/file", "x");
    symlink("../precious", bench.at("/srv/r/link")).unwrap();
    bench.change(&recurse(json!({"source": "salt://t", "keep_symlinks": true, "clean": true})));
    assert!(bench.at("/srv/precious/file").exists() && !bench.at("/srv/r/link").is_symlink());
}

#[test]
fn a_tree_that_is_renamed_or_copied_over_another_is_whole() {
    let bench = Bench::new();
    bench.write("/srv/a/x", "new");
    bench.write("/srv/b/y", "old");
    let copy = step("file.copy", "/srv/b", json!({"source": "/srv/a", "force": true}));
    bench.change(&copy);
    assert!(bench.at("/srv/b/x").exists() && !bench.at("/srv/b/y").exists());
    bench.change(&step("file.rename", "/srv/c", json!({"source": "/srv/b"})));
    assert!(bench.at("/srv/c/x").exists() && !bench.at("/srv/b").exists());
    let into = step("file.copy", "/srv/a/deep", json!({"source": "/srv/a"}));
    assert!(bench.refuses(&into).contains("into itself"));
}
