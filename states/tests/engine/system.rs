//! Accounts that go, boot settings of services, scripts, execution functions, time zones and the like.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use crate::bench::{Bench, json, need_root, only, step, words};
use mayfly_states::report::Outcome;
use mayfly_states::value::{Map, Value};

fn with_accounts() -> Bench {
    need_root();
    let bench = Bench::new();
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:4242:4242::/home/app:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\nwww:x:33:app\napp:x:4242:\n");
    bench.write("/etc/shadow", "root:*:19000:0:99999:7:::\napp:!:19000:0:99999:7:::\n");
    bench.write("/etc/gshadow", "root:*::\nwww:*::app\napp:!::\n");
    bench.write("/etc/login.defs", "USERGROUPS_ENAB yes\nMAIL_DIR /var/mail\n");
    bench.write("/home/app/file", "x");
    bench
}

fn text(s: &str) -> Value {
    Value::Str(s.to_owned())
}

#[test]
fn a_user_goes_with_its_own_group_and_without_its_home_unless_told() {
    let bench = with_accounts();
    let changed = bench.change(&step("user.absent", "app", json!({})));
    assert_eq!(
        changed.changes,
        Map::from([("app group".into(), text("removed")), ("app".into(), text("removed"))])
    );
    assert_eq!(bench.read("/etc/group"), "root:x:0:\nwww:x:33:\n");
    assert!(bench.at("/home/app/file").exists());
    let bench = with_accounts();
    bench.change(&step("user.absent", "app", json!({"purge": true, "force": true})));
    assert!(!bench.at("/home/app").exists());
    assert!(bench.refuses(&step("user.absent", "-r", json!({}))).contains("cannot be the name of a user"));
}

#[test]
fn a_group_goes() {
    let bench = with_accounts();
    let changed = bench.change(&step("group.absent", "www", json!({})));
    assert_eq!(changed.changes, Map::from([("www".into(), text(""))]));
    let primary = only(bench.run(&[step("group.absent", "app", json!({}))]));
    assert_eq!(primary.outcome, Outcome::Failed, "{}", primary.comment);
}

#[test]
fn a_service_is_enabled_and_masked_once() {
    let bench = Bench::new();
    bench.services.define("web");
    let enabled = bench.change(&step("service.enabled", "web", json!({})));
    assert_eq!(enabled.changes, Map::from([("web".into(), Value::Bool(true))]));
    bench.change(&step("service.disabled", "web", json!({})));
    bench.same(&step("service.disabled", "ghost", json!({})));
    assert!(bench.refuses(&step("service.enabled", "ghost", json!({}))).contains("not known"));
    let masked = bench.change(&step("service.masked", "web", json!({})));
    assert_eq!(masked.changes.keys().collect::<Vec<_>>(), ["masked"]);
    let runtime = bench.change(&step("service.masked", "web", json!({"runtime": true})));
    assert_eq!(runtime.changes.keys().collect::<Vec<_>>(), ["runtime masked"]);
    bench.change(&step("service.unmasked", "web", json!({})));
    assert_eq!(bench.services.asked(), ["enable web", "disable web", "mask web", "mask web", "unmask web"]);
}

#[test]
fn a_script_of_the_tree_is_rendered_and_run_with_its_arguments() {
    let bench = Bench::new();
    bench.tree("do.sh", "#!/bin/sh\necho {{ word }} $1 \"$2\"\n");
    let args = json!({"source": "salt://do.sh", "template": "jinja", "context": {"word": "well"},
        "args": ["a", "b c"]});
    let ran = only(bench.run(&[step("cmd.script", "do.sh", args.clone())]));
    assert_eq!((ran.outcome, ran.changes.get("stdout")), (Outcome::Ok, Some(&text("well a b c"))));
    let by_name = only(bench.run(&[step(
        "cmd.script",
        "salt://do.sh x",
        json!({"template": "jinja",
        "defaults": {"word": "w"}}),
    )]));
    assert_eq!(by_name.changes.get("stdout"), Some(&text("w x ")), "{}", by_name.comment);
    assert_eq!(words(&bench.test(&[step("cmd.script", "do.sh", args.clone())])), ["would"]);
    bench.tree("bad.sh", "#!/bin/sh\nexit 3\n");
    let failed = only(bench.run(&[step("cmd.script", "salt://bad.sh", json!({}))]));
    assert_eq!((failed.outcome, failed.changes.get("retcode")), (Outcome::Failed, Some(&Value::Int(3))));
    let missing = only(bench.run(&[step("cmd.script", "salt://none.sh", json!({}))]));
    assert!(missing.comment.contains("the tree has no file"), "{}", missing.comment);
    let mut waiting = args;
    waiting["watch"] = json!([{"test": "t"}]);
    let steps = [step("test.succeed_with_changes", "t", json!({})), step("cmd.wait_script", "w", waiting)];
    assert_eq!(words(&bench.run(&steps)), ["changed", "changed"]);
    assert_eq!(words(&bench.run(&steps[1..])), ["failed"], "its requisite is not there");
}

#[test]
fn execution_functions_run_in_both_spellings() {
    let bench = Bench::new();
    bench.services.define("web");
    let new = only(bench.run(&[step("module.run", "x", json!({"test.echo": ["hi"], "test.ping": []}))]));
    assert_eq!(
        new.changes,
        Map::from([("test.echo".into(), text("hi")), ("test.ping".into(), Value::Bool(true))]),
        "{}",
        new.comment
    );
    let old = only(bench.run(&[step("module.run", "test.echo", json!({"text": "old"}))]));
    assert_eq!(old.changes, Map::from([("ret".into(), text("old"))]), "{}", old.comment);
    let named = json!({"service.restart": [{"name": "web"}]});
    assert_eq!(words(&bench.run(&[step("module.run", "r", named)])), ["changed"]);
    let legacy = json!({"name": "service.reload", "m_name": "web"});
    assert_eq!(words(&bench.run(&[step("module.run", "r", legacy)])), ["changed"]);
    assert_eq!(bench.services.asked(), ["restart web", "reload web"]);
    let failed = only(bench.run(&[step("module.run", "f", json!({"test.false": []}))]));
    assert_eq!(failed.outcome, Outcome::Failed, "{}", failed.comment);
    let none = only(bench.test(&[step("module.run", "f", json!({"no.such": []}))]));
    assert_eq!((none.outcome, none.comment.as_str()), (Outcome::Failed, "Unavailable function: no.such"));
    assert_eq!(words(&bench.test(&[step("module.run", "t", json!({"test.ping": []}))])), ["would"]);
    let waiting = json!({"name": "test.ping", "watch": [{"test": "t"}]});
    let steps = [step("test.succeed_with_changes", "t", json!({})), step("module.wait", "w", waiting)];
    assert_eq!(words(&bench.run(&steps)), ["changed", "changed"]);
}

#[test]
fn the_time_zone_is_a_link_and_a_name() {
    let mut bench = Bench::new();
    bench.grains = Map::from([("os_family".into(), text("Debian"))]);
    bench.write("/usr/share/zoneinfo/Europe/Berlin", "tz1");
    bench.write("/usr/share/zoneinfo/Etc/UTC", "tz2");
    bench.write("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    let changed = bench.change(&step("timezone.system", "Europe/Berlin", json!({})));
    let wanted = [("timezone".into(), text("Europe/Berlin")), ("utc".into(), Value::Bool(true))];
    assert_eq!(changed.changes, Map::from(wanted));
    assert_eq!(bench.read("/etc/timezone"), "Europe/Berlin\n");
    let link = std::fs::read_link(bench.at("/etc/localtime")).unwrap();
    assert_eq!(link, std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin"));
    bench.change(&step("timezone.system", "Etc/UTC", json!({"utc": false})));
    assert!(bench.refuses(&step("timezone.system", "Mars/Base", json!({}))).contains("no time zone"));
    assert!(bench.refuses(&step("timezone.system", "../passwd", json!({}))).contains("cannot be"));
}

#[test]
fn the_locale_of_the_system_is_a_line_of_its_file() {
    let mut bench = Bench::new();
    bench.grains = Map::from([("os_family".into(), text("Debian"))]);
    bench.write("/etc/default/locale", "LC_ALL=C\nLANG=C\n");
    let changed = bench.change(&step("locale.system", "en_US.UTF-8", json!({})));
    assert_eq!(changed.changes, Map::from([("locale".into(), text("en_US.UTF-8"))]));
    assert_eq!(bench.read("/etc/default/locale"), "LC_ALL=C\nLANG=\"en_US.UTF-8\"\n");
}

#[test]
fn a_kernel_parameter_is_kept_in_its_file_and_in_the_kernel() {
    let bench = Bench::new();
    bench.write("/proc/sys/net/ipv4/ip_forward", "0\n");
    let changed = bench.change(&step("sysctl.present", "net.ipv4.ip_forward", json!({"value": 1})));
    assert_eq!(changed.changes, Map::from([("net.ipv4.ip_forward".into(), Value::Int(1))]));
    assert_eq!(bench.read("/proc/sys/net/ipv4/ip_forward"), "1");
    assert!(bench.read("/etc/sysctl.conf").ends_with("#\nnet.ipv4.ip_forward = 1\n"));
    let config = json!({"value": "2", "config": "/etc/sysctl.d/9.conf"});
    bench.change(&step("sysctl.present", "vm.swappiness", config));
    assert!(bench.refuses(&step("sysctl.present", "a.//.b", json!({"value": 1}))).contains("cannot be"));
}

#[test]
fn variables_of_the_run_reach_its_commands() {
    let bench = Bench::new();
    let steps = [
        step("environ.setenv", "MAYFLY_PROBE", json!({"value": "one"})),
        step("cmd.run", "echo $MAYFLY_PROBE", json!({})),
        step("cmd.run", "own", json!({"name": "echo  $MAYFLY_PROBE", "env": {"MAYFLY_PROBE": "two"}})),
        step("environ.setenv", "MAYFLY_PROBE", json!({"value": "one"})),
        step("cmd.run", "echo seen", json!({"onlyif": "test $MAYFLY_PROBE = one"})),
        step("environ.setenv", "off", json!({"value": {"MAYFLY_PROBE": false}, "false_unsets": true})),
    ];
    let report = bench.run(&steps);
    assert_eq!(
        words(&report),
        ["changed", "changed", "changed", "ok", "changed", "changed"],
        "{}",
        report.to_text()
    );
    assert_eq!(report.steps[1].changes.get("stdout"), Some(&text("one")));
    assert_eq!(report.steps[2].changes.get("stdout"), Some(&text("two")));
    assert_eq!(report.steps[5].changes, Map::from([("MAYFLY_PROBE".into(), Value::Null)]));
    assert_eq!(words(&bench.test(&steps[..1])), ["would"]);
}

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RrZXl0ZXN0a2V5dGVzdGtleXRlc3RrZXkx";

#[test]
fn a_host_is_known_by_a_given_key() {
    let bench = Bench::new();
    let host = |port: u32, hash: bool| {
        let args = json!({"enc": "ed25519", "key": KEY, "port": port, "hash_known_hosts": hash});
        step("ssh_known_hosts.present", "git.example.com", args)
    };
    let changed = bench.change(&host(22, false));
    assert_eq!(changed.changes.get("old"), Some(&Value::Null));
    bench.same(&host(22, true));
    bench.change(&host(2222, true));
    let file = bench.read("/etc/ssh/ssh_known_hosts");
    assert!(file.starts_with(&format!("git.example.com ssh-ed25519 {KEY}\n|1|")), "{file}");
    bench.change(&step("ssh_known_hosts.absent", "git.example.com", json!({})));
    let scan =
        bench.refuses(&step("ssh_known_hosts.present", "h", json!({"enc": "rsa", "fingerprint": "x"})));
    assert!(scan.contains("give the host's `key`"), "{scan}");
}

#[test]
fn keys_of_a_user_are_not_written_through_a_link_that_it_made() {
    use std::os::unix::fs::MetadataExt;
    let bench = with_accounts();
    let present = step("ssh_auth.present", KEY, json!({"user": "app", "enc": "ed25519"}));
    bench.change(&present);
    let meta = bench.at("/home/app/.ssh/authorized_keys").metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (4242, 0o600));
    assert_eq!(bench.at("/home/app/.ssh").metadata().unwrap().mode() & 0o777, 0o700);
    std::fs::remove_dir_all(bench.at("/home/app/.ssh")).unwrap();
    std::os::unix::fs::symlink(bench.at("/etc"), bench.at("/home/app/.ssh")).unwrap();
    let failed = only(bench.run(&[present]));
    assert_eq!(failed.outcome, Outcome::Failed, "{}", failed.comment);
    assert!(!bench.at("/etc/authorized_keys").exists());
    let deep = json!({"user": "app", "enc": "ed25519", "config": ".ssh/deep/er/keys"});
    let deep = step("ssh_auth.present", KEY, deep);
    assert_eq!(only(bench.run(std::slice::from_ref(&deep))).outcome, Outcome::Failed);
    assert!(!bench.at("/etc/deep").exists(), "no directory is made through the link either");
    std::fs::remove_file(bench.at("/home/app/.ssh")).unwrap();
    bench.change(&deep);
    let meta = bench.at("/home/app/.ssh/deep/er").metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (4242, 0o700));
    assert!(
        bench.refuses(&step("ssh_auth.present", "AAAA", json!({"user": "app"}))).contains("no public key")
    );
}

#[test]
fn a_whole_crontab_comes_from_the_tree_and_random_times_stay() {
    let bench = with_accounts();
    bench.tree("tab", "# all\n1 2 * * * /bin/true\n");
    let changed = bench.change(&step("cron.file", "salt://tab", json!({"user": "app"})));
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["diff"]);
    assert_eq!(bench.read("/var/spool/cron/crontabs/app"), "# all\n1 2 * * * /bin/true\n");
    bench.same(&step("cron.file", "salt://tab", json!({"user": "app", "replace": false})));
    bench.change(&step("cron.present", "/bin/x", json!({"minute": "random", "hour": "2:4", "user": "app"})));
    let ghost = bench.refuses(&step("cron.present", "/bin/x", json!({"user": "ghost"})));
    assert_eq!(ghost, "there is no user `ghost` on this machine");
    let odd = bench.refuses(&step("cron.present", "/bin/x", json!({"minute": "1 2", "user": "app"})));
    assert!(odd.contains("`minute` cannot be"), "{odd}");
}
