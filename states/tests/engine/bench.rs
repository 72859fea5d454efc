//! A machine of its own for each test: a root in a temporary directory, a tree, and a service manager of real processes.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use mayfly_states::engine::{self, Context, Observer, Options, Seen, Silent};
use mayfly_states::host::{Machine, ServiceState, Services};
use mayfly_states::low::{Chunk, LowState, Origin};
use mayfly_states::minion::Minion;
use mayfly_states::report::{Outcome, Report, StepReport};
use mayfly_states::session::NoFunctions;
use mayfly_states::tree::Tree;
use mayfly_states::value::{Map, Value};

use crate::web::Web;
pub(crate) use serde_json::json;

/// A step: `state.fun`, id, and arguments as JSON; `name` among them is the name.
pub(crate) fn step(function: &str, id: &str, args: serde_json::Value) -> Chunk {
    let (state, fun) = function.split_once('.').unwrap();
    let Value::Map(mut args) = value(args) else { panic!("arguments are a mapping") };
    let name = args.shift_remove("name").map_or(id.to_owned(), |n| n.as_str().unwrap().to_owned());
    Chunk {
        state: state.into(),
        fun: fun.into(),
        name,
        typed_name: None,
        id: id.into(),
        sls: "test".into(),
        env: "base".into(),
        order: 0,
        args,
        listens: Vec::new(),
        origin: Origin { file: "test.sls".into(), line: 1, column: 1 },
    }
}

/// JSON as the state language's values.
pub(crate) fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as J;
    match json {
        J::Null => Value::Null,
        J::Bool(b) => Value::Bool(b),
        J::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        J::String(s) => Value::Str(s),
        J::Array(a) => Value::List(a.into_iter().map(value).collect()),
        J::Object(o) => Value::Map(o.into_iter().map(|(k, v)| (k, value(v))).collect()),
    }
}

/// The machine of one test.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    file_root: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) services: Arc<Processes>,
    pub(crate) web: Arc<Web>,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) pillar: Map,
    pub(crate) grains: Map,
    pub(crate) options: Options,
}

impl Bench {
    /// With a root in the temporary directory.
    pub(crate) fn new() -> Self {
        let mut bench = Self::on_this_machine();
        bench.root = bench.dir.path().join("root");
        std::fs::create_dir_all(bench.root.join("etc")).unwrap();
        bench
    }

    /// With `/` as the root: for tests that have made a mount namespace, or that only run commands.
    pub(crate) fn on_this_machine() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file_root = dir.path().join("tree");
        std::fs::create_dir(&file_root).unwrap();
        Self {
            file_root,
            root: PathBuf::from("/"),
            services: Arc::default(),
            web: Arc::default(),
            cancel: Arc::default(),
            pillar: Map::new(),
            grains: Map::new(),
            options: Options::default(),
            dir,
        }
    }

    /// With another file root.
    pub(crate) fn with_tree(mut self, tree: &std::path::Path) -> Self {
        self.file_root = tree.to_owned();
        self
    }

    /// A path below the root.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A path for scratch files, outside the root.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    /// Put a file into the tree.
    pub(crate) fn tree(&self, path: &str, content: &str) -> PathBuf {
        let path = self.file_root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn run(&self, steps: &[Chunk]) -> Report {
        self.go(steps, self.options, &mut Silent)
    }

    pub(crate) fn test(&self, steps: &[Chunk]) -> Report {
        self.go(steps, Options { test: true, ..self.options }, &mut Silent)
    }

    pub(crate) fn go(&self, steps: &[Chunk], options: Options, observer: &mut dyn Observer) -> Report {
        let low = LowState { chunks: steps.to_vec(), pillar: self.pillar.clone(), ..LowState::default() };
        let tree = Tree::base(&self.file_root, None);
        let minion = Minion { id: "m1".into(), grains: self.grains.clone(), ..Minion::default() };
        let machine = Machine::new(self.services.clone())
            .with_root(&self.root)
            .with_network(self.web.clone())
            .with_cancel(self.cancel.clone());
        let seen = Seen { tree: &tree, minion: &minion, pillar: &low.pillar, functions: &NoFunctions };
        engine::with_jinja(seen, |render| {
            let context = Context { tree: &tree, minion: &minion, host: &machine, render };
            engine::run(&low, &context, options, observer)
        })
    }

    /// Run one step: a rehearsal that must change nothing below the root, the change itself, and again to no effect.
    pub(crate) fn change(&self, step: &Chunk) -> StepReport {
        let steps = std::slice::from_ref(step);
        let before = self.snapshot();
        let rehearsed = only(self.test(steps));
        assert_eq!(rehearsed.outcome, Outcome::WouldChange, "test mode: {}", rehearsed.comment);
        assert!(!rehearsed.changes.is_empty(), "test mode says what would change");
        assert_eq!(before, self.snapshot(), "test mode changed something");
        let changed = only(self.run(steps));
        assert_eq!(changed.outcome, Outcome::Ok, "{}", changed.comment);
        assert!(!changed.changes.is_empty(), "{}", changed.comment);
        self.same(step);
        changed
    }

    /// Run one step that has nothing to do.
    pub(crate) fn same(&self, step: &Chunk) -> StepReport {
        for report in [self.run(std::slice::from_ref(step)), self.test(std::slice::from_ref(step))] {
            let again = only(report);
            assert_eq!(
                (again.outcome, again.changes.clone()),
                (Outcome::Ok, Map::new()),
                "{}",
                again.comment
            );
        }
        only(self.run(std::slice::from_ref(step)))
    }

    /// Run one step that fails and leaves everything as it was; its comment.
    pub(crate) fn refuses(&self, step: &Chunk) -> String {
        let before = self.snapshot();
        let failed = only(self.run(std::slice::from_ref(step)));
        assert_eq!(failed.outcome, Outcome::Failed, "{}", failed.comment);
        assert_eq!(before, self.snapshot(), "a failed step changed something");
        failed.comment
    }

    /// Everything below the root: path, kind, mode, owner, content. Empty when the root is the machine's.
    pub(crate) fn snapshot(&self) -> Vec<String> {
        match self.root == std::path::Path::new("/") {
            true => Vec::new(),
            false => walk(&self.root, |_| String::new()),
        }
    }

    /// The same with inode and time of change, so that what was written anew is seen even when it is the same.
    pub(crate) fn listing(&self) -> Vec<String> {
        listing(&self.root)
    }
}

/// Everything below a directory with inodes and times of change.
pub(crate) fn listing(root: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    walk(root, |meta| format!("{} {}.{:09} ", meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

fn walk(root: &std::path::Path, more: impl Fn(&std::fs::Metadata) -> String) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        let content = match meta.file_type() {
            t if t.is_file() => hex::encode(std::fs::read(entry.path()).unwrap()),
            t if t.is_symlink() => std::fs::read_link(entry.path()).unwrap().display().to_string(),
            _ => String::new(),
        };
        let path = entry.path().display();
        let more = more(&meta);
        all.push(format!("{path} {:o} {}:{} {more}{content}", meta.mode(), meta.uid(), meta.gid()));
    }
    all
}

/// The one step of a report.
pub(crate) fn only(report: Report) -> StepReport {
    assert_eq!(report.steps.len(), 1);
    report.steps.into_iter().next().unwrap()
}

/// Outcomes in order: `ok`, `changed`, `failed`, `would`, `skipped`.
pub(crate) fn words(report: &Report) -> Vec<&'static str> {
    let word = |s: &StepReport| match (s.outcome, s.ran, s.changes.is_empty()) {
        (Outcome::Failed, ..) => "failed",
        (Outcome::WouldChange, ..) => "would",
        (Outcome::Ok, false, _) => "skipped",
        (Outcome::Ok, true, true) => "ok",
        (Outcome::Ok, true, false) => "changed",
    };
    report.steps.iter().map(word).collect()
}

/// Whether something comes true within a deadline that only a failure reaches.
pub(crate) fn eventually(holds: impl Fn() -> bool) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::time::Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Say why a test cannot run, and fail.
pub(crate) fn need_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test changes owners or mounts and must be run as root");
}

/// Run `body` on a thread in a mount namespace of its own, where every mount is private.
pub(crate) fn in_mount_namespace<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    use nix::mount::{MsFlags, mount};
    need_root();
    let inside = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        body()
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A file system of their own for the writable layers of a mount namespace.
pub(crate) fn layer(bench: &Bench) -> PathBuf {
    use nix::mount::{MsFlags, mount};
    let layers = bench.scratch("layers");
    std::fs::create_dir(&layers).unwrap();
    mount(Some("tmpfs"), &layers, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    layers
}

/// Lay a writable layer over a directory of the root.
pub(crate) fn overlay(layers: &std::path::Path, dir: &str) {
    let (upper, work) = (layers.join(format!("{dir}.upper")), layers.join(format!("{dir}.work")));
    std::fs::create_dir(&upper).unwrap();
    std::fs::create_dir(&work).unwrap();
    let options = format!("lowerdir=/{dir},upperdir={},workdir={}", upper.display(), work.display());
    let target = format!("/{dir}");
    nix::mount::mount(
        Some("overlay"),
        target.as_str(),
        Some("overlay"),
        nix::mount::MsFlags::empty(),
        Some(options.as_str()),
    )
    .unwrap();
}

/// Services that are processes of `sleep`, and what was asked of them.
#[derive(Default)]
pub(crate) struct Processes {
    known: Mutex<HashMap<String, Option<Child>>>,
    enabled: Mutex<HashMap<String, bool>>,
    masked: Mutex<HashMap<(String, bool), bool>>,
    resting: std::sync::atomic::AtomicBool,
    pub(crate) log: Mutex<Vec<String>>,
}

impl Processes {
    /// From now on who runs the services does not.
    pub(crate) fn rest(&self) {
        self.resting.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn define(&self, name: &str) {
        self.known.lock().unwrap().insert(name.into(), None);
        self.enabled.lock().unwrap().insert(name.into(), false);
    }

    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.known.lock().unwrap().get(name)?.as_ref().map(Child::id)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn end(&self, name: &str) {
        if let Some(mut child) = self.known.lock().unwrap().get_mut(name).and_then(Option::take) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn begin(&self, name: &str) -> Result<(), String> {
        let mut known = self.known.lock().unwrap();
        let slot = known.get_mut(name).ok_or("no such service")?;
        *slot = Some(Command::new("sleep").arg("1000").spawn().unwrap());
        Ok(())
    }

    fn note(&self, what: &str, name: &str) {
        self.log.lock().unwrap().push(format!("{what} {name}"));
    }
}

impl Services for Processes {
    fn manager(&self) -> &str {
        "processes"
    }
    fn offline(&self) -> bool {
        self.resting.load(std::sync::atomic::Ordering::Relaxed)
    }
    fn state(&self, name: &str) -> Result<ServiceState, String> {
        Ok(match self.known.lock().unwrap().get(name) {
            None => ServiceState::Unknown,
            Some(None) => ServiceState::Stopped,
            Some(Some(_)) => ServiceState::Running,
        })
    }
    fn start(&self, name: &str) -> Result<(), String> {
        self.note("start", name);
        self.begin(name)
    }
    fn stop(&self, name: &str) -> Result<(), String> {
        self.note("stop", name);
        self.end(name);
        Ok(())
    }
    fn restart(&self, name: &str) -> Result<(), String> {
        self.note("restart", name);
        self.end(name);
        self.begin(name)
    }
    fn reload(&self, name: &str) -> Result<(), String> {
        self.note("reload", name);
        Ok(())
    }
    fn enabled(&self, name: &str) -> Result<Option<bool>, String> {
        Ok(self.enabled.lock().unwrap().get(name).copied())
    }
    fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), String> {
        self.note(if enabled { "enable" } else { "disable" }, name);
        self.enabled.lock().unwrap().insert(name.into(), enabled);
        Ok(())
    }
    fn masked(&self, name: &str, runtime: bool) -> Result<bool, String> {
        Ok(self.masked.lock().unwrap().get(&(name.into(), runtime)).copied().unwrap_or(false))
    }
    fn set_masked(&self, name: &str, runtime: bool, masked: bool) -> Result<(), String> {
        self.note(if masked { "mask" } else { "unmask" }, name);
        self.masked.lock().unwrap().insert((name.into(), runtime), masked);
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let names: Vec<String> = self.known.lock().unwrap().keys().cloned().collect();
        for name in names {
            self.end(&name);
        }
    }
}
