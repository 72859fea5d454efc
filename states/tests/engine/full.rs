//! A file system that is full at any point of a run, or read-only, and users who are not there: each failed step says why,
//! the old content stays, the others go on, and the next run completes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::bench::{Bench, in_mount_namespace, json, only, step, words};
use mayfly_states::low::Chunk;
use mayfly_states::report::{Outcome, Report};

const PAGE: usize = 4096;
/// Files of many sizes, in pages.
const SIZES: [usize; 6] = [1, 2, 3, 5, 8, 13];

fn text(version: usize, pages: usize) -> String {
    format!("version {version} of {pages:02}\n").repeat(pages * PAGE / 16)
}

/// Everything that writes, one after the other; the last needs no room.
fn steps() -> Vec<Chunk> {
    let managed =
        |pages: &usize| step("file.managed", &format!("/srv/{pages}"), json!({"contents": text(1, *pages)}));
    let mut all: Vec<Chunk> = SIZES.iter().map(managed).collect();
    all.extend([
        step("file.append", "/srv/append", json!({"text": text(1, 2)})),
        step("file.replace", "/srv/replace", json!({"pattern": "version 0", "repl": "version 1 and more"})),
        step(
            "file.blockreplace",
            "/srv/block",
            json!({"marker_start": "# one", "marker_end": "# two", "content": text(1, 1)}),
        ),
        step(
            "file.serialize",
            "/srv/serialize",
            json!({"dataset": {"text": text(1, 2)}, "formatter": "json"}),
        ),
        step("file.copy", "/srv/copy", json!({"source": "/srv/source"})),
        step("file.recurse", "/srv/recurse", json!({"source": "salt://dir"})),
        step(
            "file.decode",
            "/srv/decode",
            json!({"encoded_data": "dmVyc2lvbiAx", "encoding_type": "base64"}),
        ),
        step(
            "archive.extracted",
            "/srv/archive",
            json!({"source": "salt://app.tar", "enforce_toplevel": false}),
        ),
        step("ini.options_present", "/srv/ini", json!({"sections": {"a": {"text": "x".repeat(PAGE)}}})),
        step("host.present", "web", json!({"ip": "10.0.0.1"})),
        step("cron.present", "/bin/job", json!({"user": "root"})),
        step("file.directory", "/srv/dir", json!({"mode": "0700"})),
    ]);
    all
}

/// Where the writes go, each with its old content (none: not there).
fn prepare(bench: &Bench) {
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\n");
    bench.write("/etc/hosts", "127.0.0.1 localhost\n");
    bench.write("/var/spool/cron/crontabs/root", "# old\n");
    for pages in SIZES {
        bench.write(&format!("/srv/{pages}"), &text(0, 1));
    }
    bench.write("/srv/append", "version 0\n");
    bench.write("/srv/replace", &text(0, 2));
    bench.write("/srv/block", "# one\n# two\n");
    bench.write("/srv/ini", "[a]\n");
    bench.write("/srv/source", &text(1, 2));
    std::fs::create_dir_all(bench.at("/srv/dir")).unwrap();
}

fn tree(bench: &Bench) {
    bench.tree("dir/one", &text(1, 2));
    bench.tree("dir/two", &text(1, 2));
    let made = bench.scratch("made");
    std::fs::create_dir(&made).unwrap();
    std::fs::write(made.join("inside"), text(1, 3)).unwrap();
    let tar = bench.tree("app.tar", "");
    assert!(
        Command::new("tar").arg("-cf").arg(tar).arg("inside").current_dir(made).status().unwrap().success()
    );
}

/// A small file system of its own as the root of `bench`, with all old contents.
fn small(bench: &Bench) {
    mount(Some("tmpfs"), &bench.root, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=0755")).unwrap();
    prepare(bench);
}

fn away(bench: &Bench) {
    umount2(&bench.root, MntFlags::MNT_DETACH).unwrap();
}

/// Fill the file system up to so many free pages.
fn leave(root: &Path, pages: usize) {
    let free = nix::sys::statvfs::statvfs(root).unwrap().blocks_available() as usize;
    std::fs::write(root.join("filler"), vec![0; (free - pages) * PAGE]).unwrap();
}

fn old_or_new(bench: &Bench, moment: &str) {
    for pages in SIZES {
        let now = bench.read(&format!("/srv/{pages}"));
        assert!(
            now == text(0, 1) || now == text(1, pages),
            "{moment}: {pages} is torn ({} bytes)",
            now.len()
        );
    }
    for (path, old) in [
        ("/srv/append", "version 0\n"),
        ("/srv/block", "# one\n# two\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n"),
    ] {
        let now = bench.read(path);
        assert!(now == old || now.len() > old.len() && now.ends_with('\n'), "{moment}: {path} is torn");
    }
    let replaced = bench.read("/srv/replace");
    assert!(
        replaced == text(0, 2) || replaced == text(0, 2).replace("version 0", "version 1 and more"),
        "{moment}"
    );
    let left = walkdir::WalkDir::new(&bench.root).into_iter().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with(".mayfly-tmp")).collect();
    assert!(left.is_empty(), "{moment}: {left:?}");
}

/// Each failed step names the cause and the path; none is left out.
fn explained(report: &Report, cause: &str, moment: &str) {
    assert_eq!(report.steps.len(), steps().len(), "{moment}: the run did not go on");
    for step in report.failed() {
        let ok = step.comment.contains(cause) && step.comment.contains('/');
        assert!(ok, "{moment}: {} says {:?}", step.name, step.comment);
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_whole_files_and_the_next_run_completes() {
    in_mount_namespace(|| {
        let bench = Bench::new();
        tree(&bench);
        let mut failures = std::collections::BTreeSet::new();
        for pages in 0..64 {
            let moment = format!("{pages} pages left");
            small(&bench);
            leave(&bench.root, pages);
            let report = bench.run(&steps());
            explained(&report, "No space left on device", &moment);
            old_or_new(&bench, &moment);
            assert_eq!(words(&report).last(), Some(&"changed"), "{moment}: what needs no room goes on");
            failures.extend(report.failed().map(|step| step.id.clone()));
            std::fs::remove_file(bench.at("/filler")).unwrap();
            let next = bench.run(&steps());
            assert!(next.ok(), "{moment}: {}", next.to_text());
            let again = bench.run(&steps());
            assert_eq!(words(&again), vec!["ok"; steps().len()], "{moment}: {}", again.to_text());
            away(&bench);
        }
        let (all, writes) = (steps(), failures.len());
        assert_eq!(writes, all.len() - 1, "only {failures:?} ever ran out of room");
    });
}

#[test]
fn a_read_only_file_system_fails_each_step_with_the_cause_and_changes_nothing() {
    in_mount_namespace(|| {
        let bench = Bench::new();
        tree(&bench);
        small(&bench);
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &bench.root, None::<&str>, flags, None::<&str>).unwrap();
        let before = bench.listing();
        let report = bench.run(&steps());
        explained(&report, "Read-only file system", "read-only");
        assert_eq!(report.failed().count(), steps().len());
        assert_eq!(before, bench.listing());
        away(&bench);
    });
}

#[test]
fn a_user_or_group_that_is_not_there_fails_its_step_alone() {
    let bench = Bench::new();
    prepare(&bench);
    tree(&bench);
    let with = |function: &str, path: &str, key: &str, args: serde_json::Value| {
        let mut args = args;
        args[key] = json!("ghost");
        step(function, path, args)
    };
    for key in ["user", "group"] {
        for step in [
            with("file.managed", "/srv/new", key, json!({"contents": "x"})),
            with("file.directory", "/srv/new", key, json!({})),
            with("file.recurse", "/srv/new", key, json!({"source": "salt://dir"})),
            with("file.serialize", "/srv/new", key, json!({"dataset": {}, "formatter": "json"})),
            with("file.copy", "/srv/new", key, json!({"source": "/srv/source"})),
            with("file.symlink", "/srv/new", key, json!({"target": "/srv/source"})),
            with("file.hardlink", "/srv/new", key, json!({"target": "/srv/source", "makedirs": true})),
            with(
                "archive.extracted",
                "/srv/new",
                key,
                json!({"source": "salt://app.tar", "enforce_toplevel": false}),
            ),
        ] {
            let comment = bench.refuses(&step);
            assert!(
                comment.contains("ghost") && comment.contains(key),
                "{}.{}: {comment}",
                step.state,
                step.fun
            );
        }
    }
    let steps = [with("cmd.run", "true", "runas", json!({})), step("test.nop", "next", json!({}))];
    assert_eq!(words(&bench.run(&steps)), ["failed", "ok"]);
    assert_eq!(only(bench.test(&steps[1..])).outcome, Outcome::Ok);
}
