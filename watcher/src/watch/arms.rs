//! The kernel's watches: directories armed and released by set difference, and what happened in them.

// Effects: inotify.
#![allow(clippy::disallowed_methods)]

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, EventKind, INotifyWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// More paths than this at once are not told one by one; everything is looked at instead.
const MAX_TOLD: usize = 4096;

/// What happened since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// Paths, and what happened there.
    pub(crate) paths: HashMap<PathBuf, Touch>,
    /// Events were lost or are too many: look at everything.
    pub(crate) rescan: bool,
}

/// What happened to a path.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Touch {
    /// It was created, removed or renamed.
    pub(crate) structural: bool,
    /// It was removed or renamed.
    pub(crate) gone: bool,
}

impl Happened {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.rescan
    }
}

/// The watches of one watcher.
pub(crate) struct Arms {
    inotify: Option<INotifyWatcher>,
    /// Directories by real path, with device and inode.
    armed: HashMap<PathBuf, (u64, u64)>,
    happened: Arc<Mutex<Happened>>,
    /// Watches that may be used; the kernel's own limit comes on top.
    budget: usize,
    /// Why not everything is armed.
    pub(crate) limited: Option<String>,
}

impl Arms {
    /// Start watching nothing. `wake` is called when something happened after [`Arms::happened`] was last asked.
    pub(crate) fn new(budget: Option<usize>, wake: impl Fn() + Send + 'static) -> Self {
        let happened: Arc<Mutex<Happened>> = Arc::default();
        let told = happened.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            let mut happened = told.lock().unwrap_or_else(PoisonError::into_inner);
            let quiet = happened.is_empty();
            note(&mut happened, event);
            if quiet && !happened.is_empty() {
                wake();
            }
        };
        let (inotify, limited) = match INotifyWatcher::new(handler, Config::default()) {
            Ok(inotify) => (Some(inotify), None),
            Err(error) => (None, Some(no_instance(&error))),
        };
        Self { inotify, armed: HashMap::new(), happened, budget: budget.unwrap_or(usize::MAX), limited }
    }

    /// Take what happened.
    pub(crate) fn happened(&self) -> Happened {
        std::mem::take(&mut *self.happened.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Arm the directories that are not yet; gives those that were armed now and those that could not be.
    pub(crate) fn arm<'a>(&mut self, wanted: impl Iterator<Item = &'a PathBuf>) -> (bool, bool) {
        let (mut fresh, mut failed) = (false, false);
        for path in wanted {
            match identity(path) {
                // A watch on what is gone would be a watch on its parent, which is wanted too.
                None => _ = self.disarm(path),
                Some(now) if self.armed.get(path) == Some(&now) => {}
                Some(now) => match self.watch(path, now) {
                    Ok(()) => fresh = true,
                    Err(()) => failed = true,
                },
            }
        }
        (fresh, failed)
    }

    fn watch(&mut self, path: &Path, identity: (u64, u64)) -> Result<(), ()> {
        self.disarm(path);
        if self.armed.len() >= self.budget {
            self.limited = Some(no_watches());
            return Err(());
        }
        let inotify = self.inotify.as_mut().ok_or(())?;
        match inotify.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.armed.insert(path.to_owned(), identity);
                Ok(())
            }
            Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => Ok(()),
            Err(error) => {
                let limit = matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
                self.limited =
                    Some(if limit { no_watches() } else { format!("{}: {error}", path.display()) });
                Err(())
            }
        }
    }

    /// Release what is not in the set.
    pub(crate) fn keep(&mut self, wanted: &BTreeSet<&PathBuf>) {
        let stale: Vec<_> = self.armed.keys().filter(|path| !wanted.contains(path)).cloned().collect();
        stale.iter().for_each(|path| _ = self.disarm(path));
    }

    /// A directory was moved or removed: kernel watches follow the inode, ours the name. Trust none.
    pub(crate) fn distrust(&mut self) {
        let all: Vec<_> = self.armed.keys().cloned().collect();
        all.iter().for_each(|path| _ = self.disarm(path));
    }

    /// Whether the path is a directory that is armed.
    pub(crate) fn is_armed(&self, path: &Path) -> bool {
        self.armed.contains_key(path)
    }

    /// How many watches are in use.
    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }

    fn disarm(&mut self, path: &Path) -> bool {
        let was = self.armed.remove(path).is_some();
        if let (true, Some(inotify)) = (was, self.inotify.as_mut()) {
            // It fails when the kernel dropped the watch with its directory, which is as well.
            let _ = inotify.unwatch(path);
        }
        was
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_dir).map(|m| (m.dev(), m.ino()))
}

/// Note an event. Reading is none: our own looking would wake us for ever.
fn note(happened: &mut Happened, event: notify::Result<notify::Event>) {
    let Ok(event) = event else {
        happened.rescan = true;
        return;
    };
    let (structural, gone) = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => (false, false),
        EventKind::Access(_) => return,
        EventKind::Create(_) => (true, false),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => (true, true),
        EventKind::Any | EventKind::Modify(_) | EventKind::Other => (false, false),
    };
    happened.rescan |= event.need_rescan() || happened.paths.len() >= MAX_TOLD;
    if happened.rescan {
        return happened.paths.clear();
    }
    for path in event.paths {
        let touch = happened.paths.entry(path).or_default();
        touch.structural |= structural;
        touch.gone |= gone;
    }
}

fn kernel_value(name: &str) -> String {
    let value = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
    if value.trim().is_empty() { "unknown".into() } else { value.trim().to_owned() }
}

fn no_watches() -> String {
    let now = kernel_value("max_user_watches");
    format!(
        "no inotify watch is left (fs.inotify.max_user_watches is {now}): raise it with sysctl; the rest is polled"
    )
}

fn no_instance(error: &notify::Error) -> String {
    let now = kernel_value("max_user_instances");
    format!(
        "no inotify instance could be made ({error}; fs.inotify.max_user_instances is {now}): raise it with sysctl; \
         everything is polled"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn an_overflowed_queue_asks_for_a_rescan() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, woken) = channel();
        let mut arms = Arms::new(None, move || _ = wake.send(()));
        let path = dir.path().to_owned();
        assert_eq!(arms.arm([&path].into_iter()), (true, false));
        let capacity: usize = kernel_value("max_queued_events").parse().unwrap();
        {
            // The thread that empties the kernel's queue waits for this lock.
            let held = arms.happened.clone();
            let _held = held.lock().unwrap();
            let (a, b) = (path.join("a"), path.join("b"));
            std::fs::write(&a, "").unwrap();
            // Two events each; what the thread had read already is made up for amply.
            for _ in 0..capacity {
                std::fs::rename(&a, &b).unwrap();
                std::fs::rename(&b, &a).unwrap();
            }
        }
        woken.recv_timeout(LONG).unwrap();
        let deadline = std::time::Instant::now() + LONG;
        while !arms.happened().rescan {
            assert!(std::time::Instant::now() < deadline, "no rescan was asked for");
            let _ = woken.recv_timeout(LONG);
        }
    }

    #[test]
    fn many_paths_at_once_are_told_as_a_rescan() {
        let mut happened = Happened::default();
        for number in 0..=MAX_TOLD {
            let event = notify::Event::new(EventKind::Create(notify::event::CreateKind::File));
            note(&mut happened, Ok(event.add_path(PathBuf::from(number.to_string()))));
        }
        assert!(happened.rescan && happened.paths.is_empty());
    }

    #[test]
    fn reading_is_no_event() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, woken) = channel();
        let mut arms = Arms::new(None, move || _ = wake.send(()));
        let path = dir.path().to_owned();
        std::fs::write(path.join("a"), "x").unwrap();
        arms.arm([&path].into_iter());
        std::fs::read(path.join("a")).unwrap();
        std::fs::write(path.join("b"), "x").unwrap();
        woken.recv_timeout(LONG).unwrap();
        assert!(!arms.happened().paths.contains_key(&path.join("a")));
    }
}
