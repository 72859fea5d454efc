//! A local user who owns a directory that states work in, and puts links there: root is not led elsewhere.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::process::Command;

use crate::bench::{Bench, json, need_root, step};

const USER: u32 = 4711;

/// `/opt/app` belongs to a user, who has put a link `conf` there that leads to `/etc`.
fn bench() -> Bench {
    need_root();
    let bench = Bench::new();
    bench.write(
        "/etc/passwd",
        &format!("root:x:0:0:root:/root:/bin/sh\napp:x:{USER}:{USER}::/opt/app:/bin/sh\n"),
    );
    bench.write("/etc/group", &format!("root:x:0:\napp:x:{USER}:\n"));
    bench.write("/etc/secret", "root's alone\n");
    std::fs::create_dir_all(bench.at("/opt/app")).unwrap();
    lchown(bench.at("/opt/app"), Some(USER), Some(USER)).unwrap();
    symlink(bench.at("/etc"), bench.at("/opt/app/conf")).unwrap();
    lchown(bench.at("/opt/app/conf"), Some(USER), Some(USER)).unwrap();
    bench
}

fn tar(bench: &Bench, name: &str, make: impl FnOnce(&std::path::Path), what: &str) {
    let made = bench.scratch(&format!("made-{name}"));
    std::fs::create_dir_all(&made).unwrap();
    make(&made);
    let file = bench.tree(name, "");
    let status = Command::new("tar").arg("-cf").arg(file).arg(what).current_dir(made).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_link_of_another_on_the_way_is_not_followed() {
    let bench = bench();
    bench.tree("dir/conf/secret", "new");
    let managed = json!({"contents": "new", "user": "app"});
    for (function, id, args) in [
        ("file.managed", "/opt/app/conf/secret", managed),
        ("file.absent", "/opt/app/conf/secret", json!({})),
        ("file.symlink", "/opt/app/conf/x", json!({"target": "/x"})),
        ("file.touch", "/opt/app/conf/x", json!({})),
        ("file.append", "/opt/app/conf/secret", json!({"text": "x"})),
        ("file.directory", "/opt/app/conf/d", json!({"user": "app"})),
        ("file.recurse", "/opt/app", json!({"source": "salt://dir", "user": "app"})),
        ("file.copy", "/srv/x", json!({"source": "/opt/app/conf/secret", "makedirs": true})),
    ] {
        let comment = bench.refuses(&step(function, id, args));
        assert!(comment.contains("only links of root are followed"), "{function}: {comment}");
    }
}

#[test]
fn a_link_of_root_on_the_way_is_followed() {
    let bench = bench();
    lchown(bench.at("/opt/app/conf"), Some(0), Some(0)).unwrap();
    bench.change(&step("file.managed", "/opt/app/conf/secret", json!({"contents": "new"})));
    assert_eq!(bench.read("/etc/secret"), "new\n");
}

#[test]
fn a_copy_is_not_made_of_what_anothers_link_points_to() {
    let bench = bench();
    symlink(bench.at("/etc/secret"), bench.at("/opt/app/avatar")).unwrap();
    lchown(bench.at("/opt/app/avatar"), Some(USER), Some(USER)).unwrap();
    let copy = json!({"source": "/opt/app/avatar", "mode": "0644"});
    assert!(bench.refuses(&step("file.copy", "/opt/copy", copy)).contains("only links of root"));
}

#[test]
fn an_archive_is_not_extracted_or_owned_through_a_link() {
    let bench = bench();
    let fill = |made: &std::path::Path| {
        std::fs::create_dir_all(made.join("conf")).unwrap();
        std::fs::write(made.join("conf/secret"), "new").unwrap();
    };
    tar(&bench, "app.tar", fill, "conf");
    for owner in [USER, 0] {
        lchown(bench.at("/opt/app/conf"), Some(owner), Some(owner)).unwrap();
        let args =
            json!({"source": "salt://app.tar", "user": "app", "enforce_toplevel": false, "overwrite": true});
        let comment = bench.refuses(&step("archive.extracted", "/opt/app", args));
        assert!(comment.contains("leads out of"), "{comment}");
    }
    assert_eq!(std::fs::metadata(bench.at("/etc/secret")).unwrap().uid(), 0);
}

#[test]
fn an_archive_with_a_device_is_refused() {
    let bench = bench();
    let fill = |made: &std::path::Path| {
        std::fs::create_dir_all(made.join("dev")).unwrap();
        assert!(
            Command::new("mknod")
                .arg(made.join("dev/disk"))
                .args(["b", "7", "0"])
                .status()
                .unwrap()
                .success()
        );
    };
    tar(&bench, "dev.tar", fill, "dev");
    let report = bench.run(&[step("archive.extracted", "/srv/dev", json!({"source": "salt://dev.tar"}))]);
    assert!(report.steps[0].comment.contains("a device"), "{}", report.to_text());
    assert!(!bench.at("/srv/dev/dev/disk").exists());
}
