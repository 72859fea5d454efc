//! Mounts, alternatives and debconf: on a root of their own, and on layers that only the test's thread sees.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, in_mount_namespace, json, layer, need_root, only, overlay, step, words};
use mayfly_states::value::{Map, Value};

fn text(s: &str) -> Value {
    Value::Str(s.to_owned())
}

#[test]
fn a_file_system_is_mounted_remounted_exchanged_and_unmounted() {
    in_mount_namespace(|| {
        let bench = Bench::on_this_machine();
        let layers = layer(&bench);
        let (point, fstab) = (layers.join("point"), layers.join("fstab"));
        std::fs::write(&fstab, "# none\n").unwrap();
        let mounted = |device: &str, opts: &str| {
            let args =
                json!({"device": device, "fstype": "tmpfs", "opts": opts, "mkmnt": true, "config": fstab});
            step("mount.mounted", point.to_str().unwrap(), args)
        };
        let first = bench.change(&mounted("one", "nosuid"));
        assert_eq!(
            first.changes,
            Map::from([("mount".into(), Value::Bool(true)), ("persist".into(), text("new"))])
        );
        let line = format!("one\t\t{}\ttmpfs\tnosuid\t0 0\n", point.display());
        assert_eq!(std::fs::read_to_string(&fstab).unwrap(), format!("# none\n{line}"));
        let again = bench.change(&mounted("one", "nosuid,noexec"));
        assert_eq!(
            again.changes.get("umount"),
            Some(&text("Forced remount because options (noexec) changed"))
        );
        let other = bench.change(&mounted("two", "nosuid,noexec"));
        assert_eq!(other.changes.keys().collect::<Vec<_>>(), ["umount", "mount", "persist"]);
        let mut watching = mounted("two", "nosuid,noexec");
        watching.args.insert("watch".into(), crate::bench::value(json!([{"test": "t"}])));
        let report = bench.run(&[step("test.succeed_with_changes", "t", json!({})), watching]);
        assert!(report.ok() && report.steps[1].comment.ends_with("remounted"), "{}", report.to_text());
        let gone = json!({"persist": true, "config": fstab});
        let gone = bench.change(&step("mount.unmounted", point.to_str().unwrap(), gone));
        assert_eq!(
            gone.changes,
            Map::from([("umount".into(), Value::Bool(true)), ("persist".into(), text("purged"))])
        );
        assert_eq!(std::fs::read_to_string(&fstab).unwrap(), "# none\n");
        let none = json!({"device": "x", "fstype": "tmpfs", "config": fstab});
        let none = only(bench.run(&[step("mount.mounted", layers.join("no").to_str().unwrap(), none)]));
        assert!(none.comment.contains("is not present"), "{}", none.comment);
    });
}

#[test]
fn passwords_are_no_options_of_a_mount() {
    let bench = Bench::new();
    let mounted = |opts: serde_json::Value| {
        let args = json!({"device": "//files/share", "fstype": "cifs", "mount": false, "opts": opts});
        only(bench.run(&[step("mount.mounted", "/mnt/share", args)]))
    };
    for opts in [json!("ro,password=s3cret"), json!(["ro", "passwd=s3cret"]), json!(["pass=s3cret"])] {
        let refused = mounted(opts).comment;
        assert!(refused.contains("`credentials=FILE`") && !refused.contains("s3cret"), "{refused}");
    }
    assert!(!bench.at("/etc/fstab").exists());
    bench.write("/etc/fstab", "");
    assert_eq!(words(&bench.run(&[mounted_with_file()])), ["changed"]);
}

fn mounted_with_file() -> mayfly_states::low::Chunk {
    let opts = ["ro", "credentials=/etc/share"];
    let args = json!({"device": "//files/share", "fstype": "cifs", "mount": false, "opts": opts});
    step("mount.mounted", "/mnt/share", args)
}

#[test]
fn fstab_alone_is_edited_below_another_root() {
    let bench = Bench::new();
    bench.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    let mounted = |more: serde_json::Value| {
        let mut args = json!({"device": "/dev/sdb1", "fstype": "ext4"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step("mount.mounted", "/data/", args)
    };
    assert!(bench.refuses(&mounted(json!({}))).contains("below another root"));
    bench.change(&mounted(json!({"mount": false})));
    let opts = json!({"mount": false, "opts": ["noatime", "ro"], "pass_num": 2});
    assert_eq!(bench.change(&mounted(opts)).changes, Map::from([("persist".into(), text("update"))]));
    let fstab = "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1\t\t/data\text4\tnoatime,ro\t0 2\n";
    assert_eq!(bench.read("/etc/fstab"), fstab);
}

#[test]
fn alternatives_are_installed_chosen_and_removed() {
    need_root();
    let bench = Bench::new();
    for dir in ["var/lib/dpkg/alternatives", "etc/alternatives", "var/log", "usr/bin"] {
        std::fs::create_dir_all(bench.at(dir)).unwrap();
    }
    for name in ["one", "two"] {
        bench.write(&format!("/opt/{name}"), "#!/bin/sh\n");
    }
    let install = |path: &str, priority: i64| {
        let args = json!({"name": "probe", "link": "/usr/bin/probe", "path": path, "priority": priority});
        step("alternatives.install", "i", args)
    };
    let first = bench.change(&install("/opt/one", 10));
    assert_eq!(first.changes.keys().collect::<Vec<_>>(), ["name", "link", "path", "priority"]);
    bench.change(&install("/opt/two", 5));
    bench.change(&install("/opt/two", 6));
    let at = || std::fs::read_link(bench.at("/etc/alternatives/probe")).unwrap().display().to_string();
    assert_eq!(at(), "/opt/one");
    bench.change(&step("alternatives.set", "probe", json!({"path": "/opt/two"})));
    assert_eq!(at(), "/opt/two");
    bench.change(&step("alternatives.auto", "probe", json!({})));
    assert_eq!(at(), "/opt/one");
    assert!(
        bench
            .refuses(&step("alternatives.set", "probe", json!({"path": "/opt/no"})))
            .contains("doesn't exist")
    );
    bench.change(&step("alternatives.remove", "probe", json!({"path": "/opt/one"})));
    assert_eq!(at(), "/opt/two");
}

#[test]
fn answers_of_debconf_are_set_once_and_secrets_are_not_told() {
    in_mount_namespace(|| {
        let bench = Bench::on_this_machine();
        let layers = layer(&bench);
        overlay(&layers, "var");
        let data = json!({"data": {
            "mayfly-probe/ask": {"type": "boolean", "value": true},
            "mayfly-probe/word": {"type": "string", "value": "two words"},
            "mayfly-probe/secret": {"type": "password", "value": "hunter2"},
        }});
        let changed = bench.change(&step("debconf.set", "mayfly-probe", data));
        assert_eq!(changed.changes.get("mayfly-probe/ask"), Some(&text("true")));
        assert_eq!(changed.changes.get("mayfly-probe/secret"), Some(&text("(password hidden)")));
        bench.tree("answers", "# all\nmayfly-probe mayfly-probe/word string other\n");
        let file = bench.change(&step("debconf.set_file", "f", json!({"source": "salt://answers"})));
        assert_eq!(file.changes, Map::from([("mayfly-probe/word".into(), text("other"))]));
    });
}

#[test]
fn what_is_not_built_says_so() {
    let bench = Bench::new();
    let x509 = bench.refuses(&step("x509.private_key_managed", "/etc/key", json!({"bits": 4096})));
    assert!(x509.contains("x509.private_key_managed is not supported"), "{x509}");
    assert_eq!(words(&bench.test(&[step("acme.cert", "x", json!({}))])), ["failed"]);
}
