//! `user.present` and `group.present` with the real useradd, below a root of their own.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, in_mount_namespace, json, layer, need_root, overlay, step, words};
use mayfly_states::value::Value;

/// A root with account databases of its own.
fn bench() -> Bench {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\nadm:x:4:\nwww:x:33:\n");
    bench.write("/etc/shadow", "root:*:19000:0:99999:7:::\n");
    bench.write("/etc/gshadow", "root:*::\nadm:*::\nwww:*::\n");
    bench.write("/etc/login.defs", "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nSYS_UID_MIN 100\nSYS_UID_MAX 999\nSYS_GID_MIN 100\nSYS_GID_MAX 999\nUSERGROUPS_ENAB yes\n");
    std::fs::create_dir_all(bench.at("/home")).unwrap();
    bench
}

fn line(bench: &Bench, file: &str, name: &str) -> String {
    let text = bench.read(file);
    text.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap_or_default().to_owned()
}

#[test]
fn a_user_is_added_with_all_that_is_asked_and_then_changed_in_parts() {
    let bench = bench();
    let mut args = json!({
        "uid": 4242, "gid": "www", "groups": ["adm"], "home": "/home/app", "shell": "/bin/sh",
        "fullname": "The App", "createhome": true,
    });
    bench.change(&step("user.present", "app", args.clone()));
    assert_eq!(line(&bench, "/etc/passwd", "app"), "app:x:4242:33:The App:/home/app:/bin/sh");
    assert_eq!(line(&bench, "/etc/group", "adm"), "adm:x:4:app");
    assert!(bench.at("/home/app").is_dir());

    args["shell"] = json!("/bin/false");
    args["groups"] = json!([]);
    let changed = bench.change(&step("user.present", "app", args));
    let keys: Vec<&String> = changed.changes.keys().collect();
    assert_eq!(keys, ["groups", "shell"]);
    assert_eq!(line(&bench, "/etc/passwd", "app"), "app:x:4242:33:The App:/home/app:/bin/false");
    assert_eq!(line(&bench, "/etc/group", "adm"), "adm:x:4:");
}

#[test]
fn a_system_user_gets_a_low_number_and_keeps_groups_when_told() {
    let bench = bench();
    bench.change(&step(
        "user.present",
        "daemon1",
        json!({"system": true, "createhome": false, "groups": ["adm"]}),
    ));
    let uid: u32 = line(&bench, "/etc/passwd", "daemon1").split(':').nth(2).unwrap().parse().unwrap();
    assert!((100..1000).contains(&uid), "{uid}");
    let more = json!({"groups": ["www"], "remove_groups": false, "optional_groups": ["nowhere"]});
    bench.change(&step("user.present", "daemon1", more));
    assert_eq!(line(&bench, "/etc/group", "adm"), "adm:x:4:daemon1");
    assert_eq!(line(&bench, "/etc/group", "www"), "www:x:33:daemon1");
}

#[test]
fn a_group_is_added_and_its_members_follow_the_declaration() {
    let bench = bench();
    for user in ["one", "two"] {
        bench.change(&step("user.present", user, json!({"createhome": false})));
    }
    bench.change(&step("group.present", "ops", json!({"gid": 4343, "members": ["one"]})));
    assert_eq!(line(&bench, "/etc/group", "ops"), "ops:x:4343:one");
    bench.change(&step("group.present", "ops", json!({"members": ["two"]})));
    assert_eq!(line(&bench, "/etc/group", "ops"), "ops:x:4343:two");
    bench.change(&step("group.present", "ops", json!({"addusers": ["one"], "delusers": ["two"]})));
    assert_eq!(line(&bench, "/etc/group", "ops"), "ops:x:4343:one");
    bench.change(&step("group.present", "ops", json!({"members": []})));
    assert_eq!(line(&bench, "/etc/group", "ops"), "ops:x:4343:");
    bench.change(&step("group.present", "sys", json!({"system": true})));
    bench.change(&step("group.present", "ops", json!({"gid": 4344})));
}

#[test]
fn wrong_accounts_are_refused() {
    let bench = bench();
    let refused = |state: &str, id: &str, args| bench.refuses(&step(state, id, args));
    let ghost = refused("user.present", "app", json!({"groups": ["ghost"]}));
    assert_eq!(ghost, "these groups are not there: ghost");
    assert_eq!(refused("user.present", "-rf", json!({})), "\"-rf\" cannot be the name of a user");
    assert!(refused("user.present", "app", json!({"home": "/a:b"})).contains("`home` must not hold"));
    let plain = refused("user.present", "app", json!({"password": "hunter2"}));
    assert!(plain.contains("must be a crypt(3) hash") && !plain.contains("hunter2"), "{plain}");
    assert!(refused("user.present", "app", json!({"uid": "many"})).contains("`uid` must be a number"));
    let both = refused("group.present", "g", json!({"addusers": ["a"], "delusers": ["a"]}));
    assert_eq!(both, "`a` is in addusers and in delusers");
    let taken = refused("user.present", "app", json!({"uid": 0}));
    assert!(taken.contains("useradd") && taken.contains("not unique"), "{taken}");
}

#[test]
fn files_of_a_new_user_are_unknown_in_test_mode_and_right_in_the_run() {
    let bench = bench();
    let steps = [
        step("group.present", "app", json!({"gid": 4343})),
        step("user.present", "app", json!({"uid": 4242, "gid": "app", "require": [{"group": "app"}]})),
        step("file.managed", "/etc/app.conf", json!({"contents": "x", "user": "app", "group": "app"})),
    ];
    assert_eq!(words(&bench.test(&steps)), ["would", "would", "would"]);
    let report = bench.run(&steps);
    assert_eq!(words(&report), ["changed", "changed", "changed"], "{}", report.to_text());
    assert_eq!(words(&bench.run(&steps)), ["ok", "ok", "ok"]);
    assert_eq!(report.steps[1].changes.get("uid"), Some(&Value::Int(4242)));
}

#[test]
fn a_password_hash_is_set_and_never_shown() {
    in_mount_namespace(|| {
        let bench = Bench::on_this_machine();
        let layers = layer(&bench);
        overlay(&layers, "etc");
        let user = |hash: &str| {
            let args = json!({"password": hash, "createhome": false, "system": true, "nologinit": true});
            step("user.present", "mayfly-probe", args)
        };
        let hash = "$6$salt$aaaaaaaa";
        let changed = bench.change(&user(hash));
        assert!(std::fs::read_to_string("/etc/shadow").unwrap().contains(&format!("mayfly-probe:{hash}:")));
        assert!(!format!("{changed:?}").contains(hash));
        let changed = bench.change(&user("$6$salt$bbbbbbbb"));
        assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["passwd"]);
        let mut lenient = user(hash);
        lenient.args.insert("enforce_password".into(), Value::Bool(false));
        bench.same(&lenient);
    });
    assert!(!std::fs::read_to_string("/etc/passwd").unwrap().contains("mayfly-probe"));
}

#[test]
fn a_home_that_is_missing_is_made_for_a_user_that_exists() {
    use std::os::unix::fs::MetadataExt;
    let bench = bench();
    let user = step("user.present", "app", json!({"uid": 4242, "gid": "www"}));
    bench.change(&user);
    std::fs::remove_dir_all(bench.at("/home/app")).unwrap();
    let changed = bench.change(&user);
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["homeDoesNotExist"]);
    let meta = bench.at("/home/app").metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (4242, 33));
    bench.change(&step("user.present", "app", json!({"home": "/srv/deep/app"})));
    assert!(bench.at("/srv/deep/app").is_dir());
    std::fs::remove_dir_all(bench.at("/srv/deep/app")).unwrap();
    bench.same(&step("user.present", "app", json!({"createhome": false})));
}

#[test]
fn a_new_user_and_a_new_group_are_told_whole() {
    let bench = bench();
    let group = bench.change(&step("group.present", "crew", json!({"gid": 1500})));
    assert_eq!(group.changes.keys().collect::<Vec<_>>(), ["name", "passwd", "gid", "members"]);
    let user = bench.change(&step(
        "user.present",
        "app",
        json!({"gid": "crew", "roomnumber": "B-2", "workphone": 5}),
    ));
    let keys: Vec<&str> = user.changes.keys().map(String::as_str).collect();
    assert_eq!(keys[..7], ["uid", "gid", "groups", "home", "name", "passwd", "shell"]);
    assert_eq!(keys[7..], ["fullname", "roomnumber", "workphone", "homephone", "other"]);
    assert_eq!(line(&bench, "/etc/passwd", "app").split(':').nth(4), Some(",B-2,5"));
    let changed = bench.change(&step("user.present", "app", json!({"fullname": "The App", "workphone": ""})));
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["fullname", "workphone"]);
    assert_eq!(line(&bench, "/etc/passwd", "app").split(':').nth(4), Some("The App,B-2"));
}

#[test]
fn a_user_is_listed_in_its_primary_group_only_beside_others() {
    let bench = bench();
    bench.change(&step("user.present", "one", json!({"gid": "www", "groups": ["www"]})));
    assert_eq!(line(&bench, "/etc/group", "www"), "www:x:33:");
    bench.change(&step("user.present", "two", json!({"gid": "www", "groups": ["www", "adm"]})));
    assert_eq!(line(&bench, "/etc/group", "www"), "www:x:33:two");
    let kept = json!({"gid": "www", "groups": ["www"], "remove_groups": false});
    bench.same(&step("user.present", "two", kept));
}

#[test]
fn the_ageing_of_a_password_is_set_and_compared() {
    in_mount_namespace(|| {
        let bench = Bench::on_this_machine();
        let layers = layer(&bench);
        overlay(&layers, "etc");
        let shadow = || {
            let text = std::fs::read_to_string("/etc/shadow").unwrap();
            text.lines().find(|l| l.starts_with("mayfly-probe:")).unwrap().to_owned()
        };
        let user = |more: serde_json::Value| {
            let mut args = json!({"createhome": false, "system": true, "nologinit": true});
            args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            step("user.present", "mayfly-probe", args)
        };
        let added = bench.change(&user(json!({"expire": 20000, "maxdays": 90, "warndays": 7})));
        assert!(added.changes.contains_key("expire"), "{added:?}");
        assert!(shadow().ends_with(":90:7::20000:"), "{}", shadow());
        let changed = bench.change(&user(json!({"expire": -1, "inactdays": 3})));
        assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["inact", "expire"]);
        let hash = "$6$salt$aaaaaaaa";
        bench.change(&user(json!({"password": hash, "password_lock": true})));
        assert!(shadow().starts_with(&format!("mayfly-probe:!{hash}:")), "{}", shadow());
        bench.change(&user(json!({"password_lock": false})));
        assert!(shadow().starts_with(&format!("mayfly-probe:{hash}:")));
        bench.change(&user(json!({"empty_password": true})));
        assert!(shadow().starts_with("mayfly-probe::"));
    });
}
