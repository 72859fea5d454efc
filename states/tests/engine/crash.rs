//! A converge of 500 states that is killed at 200 moments leaves every file whole, and the next run completes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::bench::{Bench, in_mount_namespace, json, need_root, step, words};
use mayfly_states::engine::{Observer, Options};
use mayfly_states::low::Chunk;

const ROOM: &str = "MAYFLY_CRASH_ROOM";
const VERSION: &str = "MAYFLY_CRASH_VERSION";
/// How many groups of states there are.
const GROUPS: usize = 41;
const KILLS: usize = 200;
/// The same moments each time; another seed finds others.
const SEED: u64 = 20_240_501;
const UID: u32 = 4242;

fn content(version: usize, file: usize) -> String {
    format!("version {version} of file {file}\n").repeat(400)
}

/// A text around the one line that an edit changes.
fn edited(line: &str) -> String {
    format!("# head\n{}{line}\n# tail\n", "filler filler filler\n".repeat(30))
}

/// What can stand at a path: its whole content, once for each version, and its mode. The owner is always the same.
struct Wanted {
    path: String,
    contents: Vec<String>,
    mode: u32,
}

/// The files of group `g`.
fn wanted(g: usize) -> Vec<Wanted> {
    let versions = |of: &dyn Fn(usize) -> String| (0..2).map(of).collect::<Vec<_>>();
    let file = |name: &str, contents: Vec<String>, mode: u32| Wanted {
        path: format!("/srv/{g}/{name}"),
        contents,
        mode,
    };
    vec![
        file("managed", versions(&|v| content(v, g)), 0o640),
        file("secret", versions(&|v| content(v, g + 1000)), 0o600),
        file("copy", versions(&|v| content(v, g)), 0o640),
        file("serialized", versions(&|v| format!("{{\n  \"version\": {v}\n}}\n")), 0o604),
        file("replaced", versions(&|v| edited(&format!("version={v}"))), 0o644),
        file("block", versions(&|v| edited(&format!("# begin\nversion {v}\n# end"))), 0o644),
        file("pairs", versions(&|v| edited(&format!("key = {v}"))), 0o644),
        file("line", versions(&|v| edited(&format!("version {v}"))), 0o644),
        file("ini", versions(&|v| format!("[main]\nversion = {v}\n")), 0o644),
        file("tree/sub/one", versions(&|v| content(v, 0)), 0o606),
    ]
}

/// The states of one group, all for one version.
fn group(version: usize, g: usize) -> Vec<Chunk> {
    let at = |name: &str| format!("/srv/{g}/{name}");
    let owned = |name: &str, file: usize, mode: &str| {
        let args =
            json!({"contents": content(version, file), "user": "app", "mode": mode, "show_changes": false});
        step("file.managed", &at(name), args)
    };
    let directory =
        json!({"makedirs": true, "user": "app", "mode": if version == 0 { "0750" } else { "0700" }});
    let recurse = json!({"source": format!("salt://tree{version}"), "user": "app", "file_mode": "0606", "dir_mode": "0711", "show_changes": false});
    let serialize =
        json!({"dataset": {"version": version}, "formatter": "json", "user": "app", "mode": "0604"});
    vec![
        step("file.directory", &at("dir"), directory),
        owned("managed", g, "0640"),
        owned("secret", g + 1000, "0600"),
        step("file.copy", &at("copy"), json!({"source": at("managed"), "force": true, "preserve": true})),
        step("file.serialize", &at("serialized"), serialize),
        step(
            "file.replace",
            &at("replaced"),
            json!({"pattern": "version=.", "repl": format!("version={version}")}),
        ),
        step(
            "file.blockreplace",
            &at("block"),
            json!({"marker_start": "# begin", "marker_end": "# end", "content": format!("version {version}")}),
        ),
        step("file.keyvalue", &at("pairs"), json!({"key": "key", "value": version, "separator": " = "})),
        step(
            "file.line",
            &at("line"),
            json!({"mode": "replace", "match": "^version", "content": format!("version {version}")}),
        ),
        step("ini.options_present", &at("ini"), json!({"sections": {"main": {"version": version}}})),
        step("file.symlink", &at("link"), json!({"target": format!("/srv/v{version}")})),
        step("file.recurse", &at("tree"), recurse),
    ]
}

/// All states of one version: those of the groups, and some that share a file.
fn steps(version: usize) -> Vec<Chunk> {
    let mut all: Vec<Chunk> = (0..GROUPS).flat_map(|g| group(version, g)).collect();
    for n in 0..3 {
        let minute = json!({"user": "root", "minute": version, "identifier": format!("job{n}")});
        all.push(step("cron.present", &format!("/bin/job{n}"), minute));
        let address = json!({"ip": format!("10.0.{version}.{n}"), "clean": true});
        all.push(step("host.present", &format!("host{n}"), address));
    }
    all.push(step(
        "archive.extracted",
        "/opt/app",
        json!({"source": format!("salt://v{version}.tar"), "user": "app", "enforce_toplevel": false}),
    ));
    all.push(step("file.touch", "/srv/touched", json!({"mtime": version + 1})));
    all
}

/// What the edits need to be there, and the tree.
fn prepare(bench: &Bench) {
    bench.write("/etc/passwd", &format!("root:x:0:0:root:/root:/bin/sh\napp:x:{UID}:{UID}::/:/bin/sh\n"));
    bench.write("/etc/group", &format!("root:x:0:\napp:x:{UID}:\n"));
    bench.write("/etc/hosts", "127.0.0.1 localhost\n");
    bench.write("/srv/touched", "");
    for g in 0..GROUPS {
        for file in wanted(g).iter().filter(|file| file.mode == 0o644) {
            bench.write(&file.path, &file.contents[0]);
            std::os::unix::fs::chown(bench.at(&file.path), Some(UID), Some(0)).unwrap();
        }
    }
    for version in 0..2 {
        bench.tree(&format!("tree{version}/sub/one"), &content(version, 0));
        let made = bench.scratch("made");
        std::fs::create_dir_all(&made).unwrap();
        let inside = format!("v{version}");
        std::fs::write(made.join(&inside), content(version, 1)).unwrap();
        let tar = bench.tree(&format!("v{version}.tar"), "");
        assert!(
            Command::new("tar")
                .arg("-cf")
                .arg(tar)
                .arg(inside)
                .current_dir(&made)
                .status()
                .unwrap()
                .success()
        );
    }
}

/// A byte on standard output for each step that begins.
struct Tell;

impl Observer for Tell {
    fn on_step_start(&mut self, _: usize, _: usize, _: &Chunk) {
        // Nobody listens any more: the parent has seen enough, and is about to kill.
        let _ = nix::unistd::write(std::io::stdout(), b".");
    }
}

/// Not a test of its own: the process that the test below kills. It converges once.
#[test]
fn the_process_that_is_killed() {
    let Some(room) = std::env::var_os(ROOM) else { return };
    let room = Path::new(&room);
    let mut bench = Bench::new().with_tree(&room.join("tree"));
    bench.root = room.join("root");
    let version = std::env::var(VERSION).unwrap().parse().unwrap();
    bench.go(&steps(version), Options::default(), &mut Tell);
}

/// Killed when the test is over, however it ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Victim {
    fn start(room: &Path, version: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::the_process_that_is_killed"]);
        command.env(ROOM, room).env(VERSION, version.to_string()).stderr(Stdio::null());
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Wait until so many steps have begun; whether the run lasted as long.
    fn reaches(&mut self, steps: usize) -> bool {
        let stdout = self.0.stdout.as_mut().unwrap();
        let mut seen = 0;
        let mut block = [0; 64];
        while seen < steps {
            match stdout.read(&mut block).unwrap() {
                0 => return false,
                n => seen += block[..n].iter().filter(|b| **b == b'.').count(),
            }
        }
        true
    }
}

/// Nothing is torn, and nothing has another mode or owner than it is to have.
fn inspect(bench: &Bench, moment: &str) {
    for file in (0..GROUPS).flat_map(wanted) {
        let path = bench.at(&file.path);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let whole = file.contents.contains(&text);
        assert!(whole, "{moment}: {} is torn ({} bytes)", file.path, text.len());
        let meta = path.symlink_metadata().unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (file.mode, UID), "{moment}: {}", file.path);
    }
    for entry in leftovers(bench) {
        let meta = entry.symlink_metadata().unwrap();
        // A new file has its owner's bits at first, and its own last of all.
        let open = meta.is_file() && meta.mode() & 0o077 != 0 && meta.uid() != UID;
        assert!(!open, "{moment}: {} could be read by others before it was theirs", entry.display());
    }
    for (path, lines) in [("/etc/hosts", 4), ("/var/spool/cron/crontabs/root", 7)] {
        let text = std::fs::read_to_string(bench.at(path)).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "{moment}: {path} is torn: {text}");
        assert!(text.lines().count() <= lines, "{moment}: {path} has {text}");
    }
}

fn leftovers(bench: &Bench) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(&bench.root).into_iter().flatten();
    all.filter(|e| e.file_name().to_string_lossy().starts_with(".mayfly"))
        .map(|e| e.path().to_owned())
        .collect()
}

/// Everything is of one version.
fn complete(bench: &Bench, version: usize) {
    for file in (0..GROUPS).flat_map(wanted) {
        assert_eq!(bench.read(&file.path), file.contents[version], "{}", file.path);
    }
    assert_eq!(bench.read(&format!("/opt/app/v{version}")), content(version, 1));
}

#[test]
fn killed_at_any_moment_files_are_whole_and_the_next_run_completes() {
    need_root();
    in_mount_namespace(|| {
        use nix::mount::{MsFlags, mount};
        let room = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), room.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let tree = room.path().join("tree");
        let mut bench = Bench::new().with_tree(&tree);
        bench.root = room.path().join("root");
        prepare(&bench);
        let total = steps(0).len();
        assert!(total >= 500, "{total}");
        let mut chance = StdRng::seed_from_u64(SEED);
        let mut reached = 0;
        for kill in 0..KILLS {
            let (version, at, spin) =
                (chance.random_range(0..2), chance.random_range(1..=total), chance.random_range(0..30_000));
            let mut victim = Victim::start(room.path(), version);
            reached += usize::from(victim.reaches(at));
            // A moment within the step, not always its first.
            (0..spin).for_each(|n: u32| assert!(std::hint::black_box(n) < spin));
            drop(victim);
            inspect(&bench, &format!("seed {SEED}, kill {kill} in step {at}"));
        }
        assert!(reached >= KILLS - 5, "some runs were over before they were killed: {reached}");
        for version in 0..2 {
            let report = bench.run(&steps(version));
            assert!(report.ok(), "{}", report.to_text());
            complete(&bench, version);
            let again = bench.run(&steps(version));
            assert_eq!(words(&again), vec!["ok"; total], "{}", again.to_text());
        }
        assert_eq!(leftovers(&bench), Vec::<std::path::PathBuf>::new());
        nix::mount::umount2(room.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    });
}

#[test]
fn a_leftover_link_is_removed_by_the_next_write_beside_it() {
    let bench = Bench::new();
    symlink("/nowhere", bench.at("/etc/.mayfly-tmp-left")).unwrap();
    bench.change(&step("file.managed", "/etc/a", json!({"contents": "x"})));
    assert_eq!(leftovers(&bench), Vec::<std::path::PathBuf>::new());
}
