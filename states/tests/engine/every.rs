//! Every state function of the registry: what it says in test mode, that it changes once, and that nothing else is touched.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, json, need_root, only, step, value};
use crate::packages;
use mayfly_states::low::Chunk;
use mayfly_states::modules;
use mayfly_states::report::{Outcome, StepReport};
use mayfly_states::value::Map;

/// What becomes of a call that is made again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Habit {
    /// Changes, then none.
    Once,
    /// It does what it is told each time: a command has no state to compare with.
    Always,
    /// It looks, or waits for a `watch`, and never changes anything by itself.
    Never,
    /// It fails each time, and changes nothing.
    Fails,
}
use Habit::{Always, Fails, Never, Once};

struct Case {
    function: &'static str,
    habit: Habit,
    args: serde_json::Value,
}

fn case(function: &'static str, habit: Habit, args: serde_json::Value) -> Case {
    Case { function, habit, args }
}

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RrZXl0ZXN0a2V5dGVzdGtleXRlc3RrZXkx";
const OTHER_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RrZXl0ZXN0a2V5dGVzdGtleXRlc3RrZXky";
const PATCH: &str = "--- a\n+++ b\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n";
const REPOSITORY: &str = "deb https://x.example.com/apt stable main";

fn run(program: &mut Command) {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A machine below a directory, with something for each function to work on.
fn bench() -> Bench {
    need_root();
    let mut bench = Bench::new();
    bench.grains = match value(json!({"os_family": "Debian", "os": "Debian"})) {
        mayfly_states::value::Value::Map(grains) => grains,
        _ => Map::new(),
    };
    accounts(&bench);
    files(&bench);
    system(&bench);
    sources(&bench);
    for service in ["web", "old", "stopped", "plain", "quiet"] {
        bench.services.define(service);
    }
    assert!(
        bench
            .run(&[
                step("service.running", "old", json!({"enable": true})),
                step("service.masked", "stopped", json!({})),
                step("service.enabled", "plain", json!({})),
            ])
            .ok()
    );
    bench
}

fn accounts(bench: &Bench) {
    bench.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:4242:4242::/home/app:/bin/sh\ngone:x:4243:4243::/home/gone:/bin/sh\n");
    bench.write("/etc/group", "root:x:0:\nwww:x:33:app\napp:x:4242:\ngone:x:4243:\n");
    bench.write(
        "/etc/shadow",
        "root:*:19000:0:99999:7:::\napp:!:19000:0:99999:7:::\ngone:!:19000:0:99999:7:::\n",
    );
    bench.write("/etc/gshadow", "root:*::\nwww:*::app\napp:!::\ngone:!::\n");
    bench.write(
        "/etc/login.defs",
        "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\nMAIL_DIR /var/mail\n",
    );
    bench.write("/home/app/file", "x");
    bench.write("/root/.ssh/authorized_keys", &format!("ssh-ed25519 {OTHER_KEY} me\n"));
}

fn files(bench: &Bench) {
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        bench.write(&format!("/srv/{name}"), "a\nb\nc\n");
    }
    bench.write("/srv/commented", "#a\n");
    bench.write("/srv/block", "# one\nx\n# two\n");
    bench.write("/srv/pairs", "key = old\n");
    bench.write("/srv/tree/x", "x");
    bench.write("/srv/untidy/x.old", "x");
    bench.write("/srv/untidy/x.new", "x");
    bench.write("/srv/app.ini", "[main]\nhost = a\n[other]\nk = v\n");
    bench.write("/opt/one", "#!/bin/sh\n");
    bench.write("/opt/two", "#!/bin/sh\n");
}

fn system(bench: &Bench) {
    bench.write("/etc/hosts", "127.0.0.1 localhost\n10.0.0.1 db\n");
    bench.write("/etc/aliases", "root: ops@example.com\n");
    bench.write("/etc/fstab", "/dev/sdb1 /data ext4 ro\n");
    bench.write("/etc/ssh/ssh_known_hosts", &format!("old.example.com ssh-ed25519 {KEY}\n"));
    bench.write("/etc/apt/sources.list", "deb https://old.example.com/apt stable main\n");
    bench.write(
        "/var/spool/cron/crontabs/root",
        "# Lines below here are managed by Salt, do not edit\nPATH=/bin\n0 1 * * * /bin/old\n",
    );
    bench.write("/proc/sys/net/ipv4/ip_forward", "0\n");
    bench.write("/usr/share/zoneinfo/Europe/Berlin", "tz");
    bench.write("/usr/share/zoneinfo/Etc/UTC", "tz");
    bench.write("/etc/default/locale", "LANG=C\n");
    for dir in ["var/lib/dpkg/alternatives", "etc/alternatives", "var/log", "usr/bin", "home"] {
        std::fs::create_dir_all(bench.at(dir)).unwrap();
    }
    let alternative = |name: &str, path: &str, priority: u32| {
        let link = format!("/usr/bin/{name}");
        step(
            "alternatives.install",
            name,
            json!({"name": name, "link": link, "path": path, "priority": priority}),
        )
    };
    let mut made = Vec::new();
    for name in ["chosen", "automatic", "removed"] {
        made.extend([alternative(name, "/opt/one", 10), alternative(name, "/opt/two", 5)]);
    }
    made.push(step("alternatives.set", "automatic", json!({"path": "/opt/two"})));
    let report = bench.run(&made);
    assert!(report.ok(), "{}", report.to_text());
}

/// Files of the tree, an archive and a repository.
fn sources(bench: &Bench) {
    bench.tree("word", "word\n");
    bench.tree("dir/one", "1\n");
    bench.tree("dir/sub/two", "2\n");
    bench.tree("do.sh", "#!/bin/sh\necho done\n");
    bench.tree("tab", "1 2 * * * /bin/true\n");
    bench.tree("change.patch", PATCH);
    let made = bench.scratch("made");
    std::fs::create_dir_all(made.join("app")).unwrap();
    std::fs::write(made.join("app/one"), "1").unwrap();
    let packed = bench.tree("app.tar", "");
    run(Command::new("tar").arg("-cf").arg(packed).arg("app").current_dir(&made));
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(&made).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
        ]);
        run(git.args(args));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "one"]);
    run(Command::new("git").arg("clone").arg("-q").arg(&made).arg(bench.at("/srv/clone")));
}

/// A case for every function that can be applied below a directory.
fn below_a_directory(bench: &Bench) -> Vec<Case> {
    [
        file_cases(),
        edit_cases(),
        system_cases(),
        service_cases(),
        command_cases(),
        git_cases(&bench.scratch("made")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn file_cases() -> Vec<Case> {
    vec![
        case("file.absent", Once, json!({"name": "/srv/tree"})),
        case(
            "file.accumulated",
            Never,
            json!({"name": "acc", "filename": "/srv/a", "text": "x", "require_in": [{"file": "/srv/a"}]}),
        ),
        case("file.cached", Never, json!({"name": "salt://word"})),
        case("file.copy", Once, json!({"name": "/srv/copy", "source": "/srv/c"})),
        case(
            "file.decode",
            Once,
            json!({"name": "/srv/decoded", "encoded_data": "aGVsbG8=", "encoding_type": "base64"}),
        ),
        case(
            "file.directory",
            Once,
            json!({"name": "/srv/new/dir", "makedirs": true, "mode": "0750", "user": "app"}),
        ),
        case("file.exists", Never, json!({"name": "/srv/c"})),
        case("file.hardlink", Once, json!({"name": "/srv/hard", "target": "/srv/d"})),
        case(
            "file.managed",
            Once,
            json!({"name": "/srv/f", "source": "salt://word", "user": "app", "mode": "0640"}),
        ),
        case("file.missing", Never, json!({"name": "/srv/nothing"})),
        case("file.not_cached", Never, json!({"name": "salt://word"})),
        case(
            "file.recurse",
            Once,
            json!({"name": "/srv/recursed", "source": "salt://dir", "file_mode": "0600"}),
        ),
        case("file.rename", Once, json!({"name": "/srv/renamed", "source": "/srv/i"})),
        case("file.serialize", Once, json!({"name": "/srv/data", "dataset": {"a": 1}, "formatter": "json"})),
        case("file.symlink", Once, json!({"name": "/srv/link", "target": "/srv/k"})),
        case("file.mknod", Once, json!({"name": "/srv/node", "ntype": "p", "mode": "0600"})),
        case("file.tidied", Once, json!({"name": "/srv/untidy", "matches": [".*[.]old"], "age": 0})),
        case("file.touch", Once, json!({"name": "/srv/touched", "mtime": 100})),
        case("archive.extracted", Once, json!({"name": "/opt/app", "source": "salt://app.tar"})),
    ]
}

fn edit_cases() -> Vec<Case> {
    vec![
        case("file.append", Once, json!({"name": "/srv/a", "text": "d"})),
        case(
            "file.blockreplace",
            Once,
            json!({"name": "/srv/block", "marker_start": "# one", "marker_end": "# two", "content": "y"}),
        ),
        case("file.comment", Once, json!({"name": "/srv/b", "regex": "^b"})),
        case(
            "file.keyvalue",
            Once,
            json!({"name": "/srv/pairs", "key": "key", "value": "new", "separator": " = "}),
        ),
        case(
            "file.line",
            Once,
            json!({"name": "/srv/e", "mode": "ensure", "content": "new", "after": "^b$"}),
        ),
        case("file.patch", Once, json!({"name": "/srv/g", "source": "salt://change.patch"})),
        case("file.prepend", Once, json!({"name": "/srv/h", "text": "first"})),
        case("file.replace", Once, json!({"name": "/srv/j", "pattern": "b", "repl": "B"})),
        case("file.uncomment", Once, json!({"name": "/srv/commented", "regex": "a"})),
        case(
            "ini.options_present",
            Once,
            json!({"name": "/srv/app.ini", "sections": {"main": {"host": "b"}}}),
        ),
        case("ini.options_absent", Once, json!({"name": "/srv/app.ini", "sections": {"main": ["host"]}})),
        case("ini.sections_present", Once, json!({"name": "/srv/app.ini", "sections": {"new": {"a": "b"}}})),
        case("ini.sections_absent", Once, json!({"name": "/srv/app.ini", "sections": ["other"]})),
    ]
}

fn system_cases() -> Vec<Case> {
    vec![
        case("alias.present", Once, json!({"name": "web", "target": "dev@example.com"})),
        case("alias.absent", Once, json!({"name": "root"})),
        case(
            "alternatives.install",
            Once,
            json!({"name": "probe", "link": "/usr/bin/probe", "path": "/opt/one", "priority": 1}),
        ),
        case("alternatives.set", Once, json!({"name": "chosen", "path": "/opt/two"})),
        case("alternatives.auto", Once, json!({"name": "automatic"})),
        case("alternatives.remove", Once, json!({"name": "removed", "path": "/opt/two"})),
        case("cron.present", Once, json!({"name": "/bin/new", "minute": "random", "hour": 3})),
        case("cron.absent", Once, json!({"name": "/bin/old"})),
        case("cron.env_present", Once, json!({"name": "MAILTO", "value": "ops"})),
        case("cron.env_absent", Once, json!({"name": "PATH"})),
        case("cron.file", Once, json!({"name": "salt://tab"})),
        case("group.present", Once, json!({"name": "ops", "gid": 4343, "members": ["app"]})),
        case("group.absent", Once, json!({"name": "www"})),
        case(
            "user.present",
            Once,
            json!({"name": "new", "uid": 4244, "groups": ["root"], "password": "$6$salt$hash"}),
        ),
        case("user.absent", Once, json!({"name": "gone", "purge": true})),
        case("host.present", Once, json!({"name": "web", "ip": "10.0.0.2"})),
        case("host.absent", Once, json!({"name": "db", "ip": "10.0.0.1"})),
        case("host.only", Once, json!({"name": "127.0.0.1", "hostnames": ["me"]})),
        case("locale.system", Once, json!({"name": "en_US.UTF-8"})),
        case(
            "mount.mounted",
            Once,
            json!({"name": "/mnt/new", "device": "/dev/sdc1", "fstype": "ext4", "mount": false}),
        ),
        case("mount.unmounted", Once, json!({"name": "/data", "persist": true})),
        case("pkgrepo.managed", Once, json!({"name": REPOSITORY, "file": "/etc/apt/sources.list.d/x.list"})),
        case("pkgrepo.absent", Once, json!({"name": "deb https://old.example.com/apt stable main"})),
        case("ssh_auth.present", Once, json!({"name": KEY, "user": "root", "enc": "ed25519"})),
        case("ssh_auth.absent", Once, json!({"name": OTHER_KEY, "user": "root"})),
        case(
            "ssh_auth.manage",
            Once,
            json!({"name": "keys", "user": "root", "ssh_keys": [format!("ssh-ed25519 {OTHER_KEY}")]}),
        ),
        case(
            "ssh_known_hosts.present",
            Once,
            json!({"name": "git.example.com", "enc": "ed25519", "key": KEY, "hash_known_hosts": false}),
        ),
        case("ssh_known_hosts.absent", Once, json!({"name": "old.example.com"})),
        case("sysctl.present", Once, json!({"name": "net.ipv4.ip_forward", "value": 1})),
        case("timezone.system", Once, json!({"name": "Europe/Berlin"})),
    ]
}

fn service_cases() -> Vec<Case> {
    vec![
        case("service.running", Once, json!({"name": "web", "enable": true})),
        case("service.dead", Once, json!({"name": "old", "enable": false})),
        case("service.enabled", Once, json!({"name": "quiet"})),
        case("service.disabled", Once, json!({"name": "plain"})),
        case("service.masked", Once, json!({"name": "web"})),
        case("service.unmasked", Once, json!({"name": "stopped"})),
    ]
}

fn command_cases() -> Vec<Case> {
    vec![
        case("cmd.run", Always, json!({"name": "echo x >> $MAYFLY_ROOT/srv/ran"})),
        case("cmd.wait", Never, json!({"name": "echo x >> $MAYFLY_ROOT/srv/ran"})),
        case("cmd.script", Always, json!({"name": "salt://do.sh"})),
        case("cmd.wait_script", Never, json!({"name": "salt://do.sh"})),
        // The variables live as long as the run: the next one sets them anew.
        case("environ.setenv", Always, json!({"name": "MAYFLY_PROBE", "value": "x"})),
        case("module.run", Always, json!({"name": "x", "test.ping": []})),
        case("module.wait", Never, json!({"name": "test.ping"})),
        case("test.configurable_test_state", Always, json!({})),
        case("test.fail_with_changes", Always, json!({})),
        case("test.fail_without_changes", Fails, json!({})),
        case("test.nop", Never, json!({})),
        case("test.show_notification", Never, json!({"text": "x"})),
        case("test.succeed_with_changes", Always, json!({})),
        case("test.succeed_without_changes", Never, json!({})),
        case("acme.cert", Fails, json!({"name": "example.com"})),
        case("x509.certificate_managed", Fails, json!({"name": "/etc/cert"})),
        case("x509.crl_managed", Fails, json!({"name": "/etc/crl"})),
        case("x509.csr_managed", Fails, json!({"name": "/etc/csr"})),
        case("x509.pem_managed", Fails, json!({"name": "/etc/pem"})),
        case("x509.private_key_managed", Fails, json!({"name": "/etc/key"})),
    ]
}

fn git_cases(origin: &Path) -> Vec<Case> {
    vec![
        case("git.latest", Once, json!({"name": origin, "target": "/srv/latest", "rev": "main"})),
        case("git.cloned", Once, json!({"name": origin, "target": "/srv/cloned"})),
        case("git.detached", Once, json!({"name": origin, "target": "/srv/detached", "rev": "main"})),
        case("git.config_set", Once, json!({"name": "user.email", "value": "a@b", "repo": "/srv/clone"})),
        case("git.config_unset", Once, json!({"name": "core.bare", "repo": "/srv/clone"})),
    ]
}

/// Functions that need the machine's own root, on layers over it, with what is there before.
fn on_the_machine() -> Vec<(Case, Vec<Chunk>)> {
    let installed = || vec![step("pkg.installed", "mayfly-probe", json!({"version": "1.0-1"}))];
    let held = || [installed(), vec![step("pkg.held", "mayfly-probe", json!({}))]].concat();
    vec![
        (case("pkg.installed", Once, json!({"name": "mayfly-probe"})), Vec::new()),
        (case("pkg.latest", Once, json!({"name": "mayfly-probe", "refresh": false})), installed()),
        (case("pkg.uptodate", Once, json!({"name": "all"})), installed()),
        (case("pkg.removed", Once, json!({"name": "mayfly-probe"})), installed()),
        (case("pkg.purged", Once, json!({"name": "mayfly-probe"})), installed()),
        (case("pkg.held", Once, json!({"name": "mayfly-probe"})), installed()),
        (case("pkg.unheld", Once, json!({"name": "mayfly-probe"})), held()),
        (
            case(
                "debconf.set",
                Once,
                json!({"name": "mayfly-probe", "data": {"mayfly-probe/ask": {"type": "string", "value": "x"}}}),
            ),
            Vec::new(),
        ),
        (case("debconf.set_file", Once, json!({"name": "f", "source": "salt://answers"})), Vec::new()),
    ]
}

/// Functions of the registry without a case here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("gem.installed", "needs an index of gems; see `registries`"),
    ("gem.removed", "as `gem.installed`"),
    ("gem.sources_add", "as `gem.installed`"),
    ("gem.sources_remove", "as `gem.installed`"),
    ("iptables.append", "needs a network namespace; see `firewall`"),
    ("iptables.chain_absent", "as `iptables.append`"),
    ("iptables.chain_present", "as `iptables.append`"),
    ("iptables.delete", "as `iptables.append`"),
    ("iptables.flush", "as `iptables.append`"),
    ("iptables.insert", "as `iptables.append`"),
    ("iptables.set_policy", "as `iptables.append`"),
    ("npm.bootstrap", "needs a registry; see `registries`"),
    ("npm.installed", "as `npm.bootstrap`"),
    ("npm.removed", "as `npm.bootstrap`"),
    ("pip.installed", "needs an environment and wheels; see `python`"),
    ("pip.removed", "as `pip.installed`"),
    ("pip.uptodate", "as `pip.installed`"),
    ("supervisord.dead", "needs a supervisord; see `supervised`"),
    ("supervisord.running", "as `supervisord.dead`"),
    ("virtualenv.managed", "as `pip.installed`"),
    ("http.query", "asks a server; see `web`"),
    ("http.wait_for_successful_query", "asks a server; see `web`"),
    ("locale.present", "needs locale-gen and the sources of locales, which a small image has not"),
    ("release.active", "needs a release to fetch; see `releases`"),
    ("mount.swap", "the kernel has one list of swap areas for all; see `mounts`"),
];

fn only_step(bench: &Bench, step: &Chunk, test: bool) -> StepReport {
    let steps = std::slice::from_ref(step);
    only(if test { bench.test(steps) } else { bench.run(steps) })
}

fn told(report: &StepReport) -> (Outcome, bool) {
    (report.outcome, !report.changes.is_empty())
}

/// What is wrong with a case: its rehearsal, its run, or what it does the second time.
fn faults(bench: &Bench, case: &Case, listing: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let step = step(case.function, case.function, case.args.clone());
    let mut faults = Vec::new();
    let mut note = |what: &str, report: &StepReport, ok: bool| {
        if !ok {
            faults.push(format!("{} {what}: {:?} {:?}", case.function, told(report), report.comment));
        }
    };
    let before = listing();
    let rehearsed = only_step(bench, &step, true);
    let wanted = match case.habit {
        Once | Always => (Outcome::WouldChange, true),
        Never => (Outcome::Ok, false),
        Fails => (Outcome::Failed, false),
    };
    note("in test mode", &rehearsed, told(&rehearsed) == wanted);
    let touched = difference(&before, &listing());
    note(&format!("in test mode touched {touched:#?}"), &rehearsed, touched.is_empty());
    let first = only_step(bench, &step, false);
    // It fails as it is told to, each time.
    let pretends = case.function == "test.fail_with_changes";
    note(
        "did not do it",
        &first,
        pretends
            || told(&first)
                == (
                    if case.habit == Fails { Outcome::Failed } else { Outcome::Ok },
                    matches!(case.habit, Once | Always),
                ),
    );
    let between = listing();
    let again = only_step(bench, &step, false);
    if case.habit == Once {
        note("the second time", &again, told(&again) == (Outcome::Ok, false));
        let rehearsed = only_step(bench, &step, true);
        note("in test mode when done", &rehearsed, told(&rehearsed) == (Outcome::Ok, false));
    }
    let touched = difference(&between, &listing());
    note(&format!("touched again {touched:#?}"), &again, case.habit == Always || touched.is_empty());
    faults
}

fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let (one, two): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    one.symmetric_difference(&two).map(|line| format!("{line:.200}")).collect()
}

#[test]
fn every_function_has_a_case() {
    let mut wanted: BTreeSet<String> = modules::names().into_iter().collect();
    let bench = bench();
    let cases =
        below_a_directory(&bench).into_iter().chain(on_the_machine().into_iter().map(|(case, _)| case));
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    cases.for_each(|case| *seen.entry(case.function).or_default() += 1);
    for (function, _) in ELSEWHERE {
        *seen.entry(function).or_default() += 1;
    }
    for (function, times) in seen {
        assert!(wanted.remove(function), "there is no {function}");
        assert_eq!(times, 1, "{function} is there twice");
    }
    assert!(wanted.is_empty(), "no case in every.rs for {wanted:?}");
}

#[test]
fn below_a_directory_each_function_changes_once_and_its_rehearsal_nothing() {
    let bench = bench();
    let faulty: Vec<String> =
        below_a_directory(&bench).iter().flat_map(|case| faults(&bench, case, &|| bench.listing())).collect();
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
}

#[test]
fn packages_and_answers_change_once_and_their_rehearsals_nothing() {
    let mut faulty = Vec::new();
    for (case, before) in on_the_machine() {
        packages::with_repository(|bench| {
            bench.tree("answers", "mayfly-probe mayfly-probe/word string other\n");
            let report = bench.run(&before);
            assert!(report.ok(), "{}", report.to_text());
            faulty.extend(faults(bench, &case, &|| crate::bench::listing(&bench.scratch("layers"))));
        });
    }
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
}
