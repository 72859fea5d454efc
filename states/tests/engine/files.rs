//! `file.*` where all is well: changes, then none; test mode touches nothing.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::bench::{Bench, json, need_root, only, step, value, words};
use mayfly_states::value::Value;

fn diff(step: &mayfly_states::report::StepReport) -> &str {
    step.changes.get("diff").and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn managed_contents_are_written_once_and_edits_show_a_diff() {
    let bench = Bench::new();
    let first = step("file.managed", "/etc/web.conf", json!({"contents": "port = 80", "mode": "0640"}));
    assert_eq!(diff(&bench.change(&first)), "New file");
    assert_eq!(bench.read("/etc/web.conf"), "port = 80\n");
    assert_eq!(bench.at("/etc/web.conf").metadata().unwrap().mode() & 0o7777, 0o640);

    let second = step("file.managed", "/etc/web.conf", json!({"contents": ["port = 81", "host = x"]}));
    let changed = bench.change(&second);
    assert_eq!(diff(&changed), "--- \n+++ \n@@ -1 +1,2 @@\n-port = 80\n+port = 81\n+host = x\n");
    assert_eq!(bench.at("/etc/web.conf").metadata().unwrap().mode() & 0o7777, 0o640, "the mode was kept");
}

#[test]
fn managed_mode_alone_is_a_change_that_leaves_the_content() {
    let bench = Bench::new();
    bench.write("/etc/a", "mine");
    let changed = bench.change(&step("file.managed", "/etc/a", json!({"mode": 600})));
    assert_eq!(changed.changes.get("mode"), Some(&Value::Str("0600".into())));
    assert_eq!(bench.read("/etc/a"), "mine");
}

#[test]
fn managed_takes_its_source_from_the_tree_and_from_a_path() {
    let bench = Bench::new();
    bench.tree("web/files/app.bin", "from the tree");
    bench.write("/srv/local", "from a path");
    let tree = step("file.managed", "/etc/a", json!({"source": "salt://web/files/app.bin"}));
    bench.change(&tree);
    assert_eq!(bench.read("/etc/a"), "from the tree");
    let sources = json!({"source": ["salt://web/none", "/srv/local"]});
    bench.change(&step("file.managed", "/etc/b", sources));
    assert_eq!(bench.read("/etc/b"), "from a path");
}

#[test]
fn managed_copies_big_sources_and_compares_them_by_hash() {
    let bench = Bench::new();
    let big: String = (0..200_000).map(|i| format!("{i} some text\n")).collect();
    let path = bench.tree("big", &big);
    let managed = step("file.managed", "/srv/big", json!({"source": "salt://big", "makedirs": true}));
    bench.change(&managed);
    assert_eq!(bench.read("/srv/big"), big);
    std::fs::write(path, big.replacen('1', "2", 1)).unwrap();
    assert!(diff(&bench.change(&managed)).starts_with("content differs"));
}

#[test]
fn managed_makes_parents_only_when_asked() {
    let bench = Bench::new();
    let comment = bench.refuses(&step("file.managed", "/opt/a/b", json!({"contents": "x"})));
    assert!(comment.contains("makedirs"), "{comment}");
    let args = json!({"contents": "x", "makedirs": true, "mode": "0600", "dir_mode": "0750"});
    bench.change(&step("file.managed", "/opt/a/b", args));
    assert_eq!(bench.at("/opt/a").metadata().unwrap().mode() & 0o7777, 0o750);
}

#[test]
fn managed_replace_false_and_create_false_leave_what_is_there() {
    let bench = Bench::new();
    bench.write("/etc/a", "mine");
    bench.same(&step("file.managed", "/etc/a", json!({"contents": "yours", "replace": false})));
    assert_eq!(bench.read("/etc/a"), "mine");
    bench.same(&step("file.managed", "/etc/b", json!({"contents": "yours", "create": false})));
    assert!(!bench.at("/etc/b").exists());
}

#[test]
fn managed_without_content_only_makes_sure_that_the_file_is_there() {
    let bench = Bench::new();
    bench.change(&step("file.managed", "/etc/empty", json!({})));
    assert_eq!(bench.read("/etc/empty"), "");
    bench.write("/etc/full", "mine");
    bench.same(&step("file.managed", "/etc/full", json!({})));
}

#[test]
fn managed_backup_keeps_the_old_content() {
    let bench = Bench::new();
    bench.write("/etc/a", "old");
    bench.change(&step("file.managed", "/etc/a", json!({"contents": "new", "backup": "minion"})));
    let kept: Vec<_> = std::fs::read_dir(bench.at("/var/cache/mayfly/file_backup/etc"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), "old");
}

#[test]
fn secrets_from_pillar_and_hidden_changes_stay_out_of_the_report() {
    let mut bench = Bench::new();
    bench.pillar = match value(json!({"db": {"users": [{"password": "hunter2"}]}})) {
        Value::Map(map) => map,
        _ => unreachable!(),
    };
    bench.write("/etc/key", "hunter1\n");
    bench.write("/etc/key2", "hunter1\n");
    let secret = step("file.managed", "/etc/key", json!({"contents_pillar": "db:users:0:password"}));
    let hidden = step("file.managed", "/etc/key2", json!({"contents": "hunter2", "show_changes": false}));
    for report in [bench.test(&[secret.clone(), hidden.clone()]), bench.run(&[secret, hidden])] {
        assert_eq!(report.changed(), 2);
        assert!(
            !report.to_text().contains("hunter") && !report.to_salt_json().to_string().contains("hunter")
        );
    }
    assert_eq!(bench.read("/etc/key"), "hunter2\n");
}

#[test]
fn a_check_cmd_that_fails_keeps_the_old_file() {
    let bench = Bench::new();
    bench.write("/etc/conf", "valid\n");
    let check = |contents| {
        step("file.managed", "/etc/conf", json!({"contents": contents, "check_cmd": "grep -q valid"}))
    };
    let comment = bench.refuses(&check("broken"));
    assert!(comment.contains("check_cmd `grep -q valid` ended with exit code 1"), "{comment}");
    bench.change(&check("still valid"));
    assert_eq!(bench.read("/etc/conf"), "still valid\n");
}

#[test]
fn managed_sets_owner_before_the_file_is_in_place() {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/passwd", "app:x:4242:4343::/:/bin/sh\n");
    bench.write("/etc/group", "app:x:4343:\n");
    let args = json!({"contents": "x", "user": "app", "group": "app", "mode": "4755", "makedirs": true});
    bench.change(&step("file.managed", "/srv/app/run", args));
    for path in ["/srv/app/run", "/srv/app"] {
        let meta = bench.at(path).metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4242, 4343), "{path}");
    }
    assert_eq!(bench.at("/srv/app/run").metadata().unwrap().mode() & 0o7777, 0o4755);
    let comment =
        bench.refuses(&step("file.managed", "/srv/x", json!({"contents": "x", "user": "nobody-here"})));
    assert_eq!(comment, "there is no user `nobody-here` on this machine");
}

#[test]
fn directory_is_made_and_given_its_mode_down_to_its_files() {
    let bench = Bench::new();
    let comment = bench.refuses(&step("file.directory", "/srv/a/b", json!({})));
    assert!(comment.contains("makedirs"), "{comment}");
    bench.change(&step("file.directory", "/srv/a/b", json!({"makedirs": true, "mode": "0750"})));
    bench.write("/srv/a/b/c/file", "x");
    symlink("/etc/hostname", bench.at("/srv/a/b/link")).unwrap();
    let args = json!({"dir_mode": "0700", "file_mode": "0600", "recurse": ["mode"]});
    let changed = bench.change(&step("file.directory", "/srv/a/b", args));
    let touched: Vec<&String> = changed.changes.keys().collect();
    assert_eq!(touched, ["/srv/a/b", "/srv/a/b/c", "/srv/a/b/c/file", "mode"]);
    assert_eq!(bench.at("/srv/a/b/c/file").metadata().unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn directory_clean_spares_what_it_requires_and_what_is_excluded() {
    let bench = Bench::new();
    for path in ["keep.conf", "old.conf", "old/deep/file", "tree/of/keeps/x", "spare.local"] {
        bench.write(&format!("/etc/conf.d/{path}"), "x");
    }
    let steps = [
        step("file.managed", "keep", json!({"name": "/etc/conf.d/keep.conf"})),
        step("file.directory", "tree", json!({"name": "/etc/conf.d/tree/of"})),
        step(
            "file.directory",
            "/etc/conf.d",
            json!({"clean": true, "exclude_pat": "*.local", "require": [{"file": "keep"}, {"file": "tree"}]}),
        ),
    ];
    let report = bench.run(&steps);
    assert_eq!(words(&report), ["ok", "ok", "changed"]);
    let removed = report.steps[2].changes.get("removed").cloned();
    assert_eq!(removed, Some(value(json!(["/etc/conf.d/old", "/etc/conf.d/old.conf"]))));
    assert!(bench.at("/etc/conf.d/tree/of/keeps/x").exists() && bench.at("/etc/conf.d/spare.local").exists());
    assert_eq!(words(&bench.run(&steps)), ["ok", "ok", "ok"]);
}

#[test]
fn symlink_is_made_moved_and_kept() {
    let bench = Bench::new();
    bench.change(&step("file.symlink", "/srv/current", json!({"target": "/srv/v1", "makedirs": true})));
    let moved = bench.change(&step("file.symlink", "/srv/current", json!({"target": "/srv/v2"})));
    assert_eq!(moved.changes.get("new"), Some(&Value::Str("/srv/current".into())));
    assert_eq!(std::fs::read_link(bench.at("/srv/current")).unwrap().to_str(), Some("/srv/v2"));
}

#[test]
fn absent_removes_files_links_and_trees_but_never_follows_a_link() {
    let bench = Bench::new();
    bench.write("/srv/tree/a/b", "x");
    bench.write("/srv/precious/file", "x");
    symlink(bench.at("/srv/precious"), bench.at("/srv/link")).unwrap();
    symlink(bench.at("/srv/precious"), bench.at("/srv/tree/link")).unwrap();
    bench.change(&step("file.absent", "/srv/link", json!({})));
    bench.change(&step("file.absent", "/srv/tree", json!({})));
    assert!(bench.at("/srv/precious/file").exists() && !bench.at("/srv/tree").exists());
}

#[test]
fn a_misspelt_argument_is_a_warning_with_the_nearest_name() {
    let bench = Bench::new();
    let ran = only(bench.run(&[step(
        "file.managed",
        "/etc/a",
        json!({"contents": "x", "makedir": true, "require": []}),
    )]));
    assert_eq!(ran.warnings, ["file.managed has no argument `makedir`; did you mean `makedirs`?"]);
}

#[test]
fn leftovers_of_a_killed_run_are_swept_by_the_next_write() {
    let bench = Bench::new();
    bench.write("/etc/.mayfly-tmp-dead", "half");
    bench.change(&step("file.managed", "/etc/a", json!({"contents": "x"})));
    assert!(!bench.at("/etc/.mayfly-tmp-dead").exists());
}

#[test]
fn a_new_owner_does_not_cost_a_file_its_set_id_bits() {
    need_root();
    let bench = Bench::new();
    bench.write("/srv/run", "x");
    std::fs::set_permissions(bench.at("/srv/run"), std::os::unix::fs::PermissionsExt::from_mode(0o4755))
        .unwrap();
    bench.change(&step("file.managed", "/srv/run", json!({"user": "4242", "group": "4343", "mode": "4755"})));
    let meta = bench.at("/srv/run").metadata().unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o4755, 4242, 4343));
}

#[test]
fn what_is_new_in_a_set_group_id_directory_has_its_group() {
    need_root();
    let bench = Bench::new();
    std::fs::create_dir(bench.at("/shared")).unwrap();
    std::os::unix::fs::chown(bench.at("/shared"), Some(0), Some(33)).unwrap();
    std::fs::set_permissions(bench.at("/shared"), std::fs::Permissions::from_mode(0o2755)).unwrap();
    let seen = |path: &str| {
        let meta = bench.at(path).metadata().unwrap();
        (meta.gid(), meta.mode() & 0o7777)
    };
    let file = bench.change(&step("file.managed", "/shared/a", json!({"contents": "x"})));
    assert_eq!(seen("/shared/a"), (33, 0o644));
    assert_eq!(file.changes.keys().collect::<Vec<_>>(), ["diff"]);
    bench.change(&step("file.directory", "/shared/below", json!({})));
    assert_eq!(seen("/shared/below"), (33, 0o2755));
    let asked = json!({"contents": "x", "group": "0", "mode": "0600"});
    let own = bench.change(&step("file.managed", "/shared/own", asked));
    assert_eq!((seen("/shared/own"), own.changes.contains_key("group")), ((0, 0o600), true));
}
