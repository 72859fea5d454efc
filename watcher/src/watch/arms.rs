//! The kernel's watches: directories armed and released by set difference, and what happened in them.

// Effects: inotify.
#![allow(clippy::disallowed_methods)]

use super::inotify::{Queue, Touch};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What happened since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// Paths, and what happened there.
    pub(crate) paths: HashMap<PathBuf, Touch>,
    /// Events were lost or are too many: look at everything.
    pub(crate) rescan: bool,
    /// When the last of it came.
    pub(crate) at: Option<Instant>,
}

/// What the end of a watch means.
const ENDED: Touch = Touch { structural: true, moved: false, altering: false };

/// A directory under watch.
struct Armed {
    /// Device and inode.
    identity: (u64, u64),
    number: i32,
    /// What happens to the files in it is told too.
    content: bool,
}

/// The watches of one watcher.
pub(crate) struct Arms {
    queue: Option<Queue>,
    /// Directories by real path.
    armed: HashMap<PathBuf, Armed>,
    /// What the kernel's numbers mean; a directory that is mounted twice has two names.
    names: HashMap<i32, Vec<PathBuf>>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// Watches that may be used; the kernel's own limit comes on top.
    budget: usize,
    /// Why not everything is armed.
    pub(crate) limited: Option<String>,
    /// How often the kernel threw events away.
    pub(crate) overflows: u64,
}

impl Arms {
    /// Start watching nothing. `wake` is called when something happened after [`Arms::happened`] was last asked.
    pub(crate) fn new(budget: Option<usize>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let mut arms = Self {
            queue: None,
            armed: HashMap::new(),
            names: HashMap::new(),
            wake: Arc::new(wake),
            budget: budget.unwrap_or(usize::MAX),
            limited: None,
            overflows: 0,
        };
        arms.open();
        arms
    }

    /// Have a queue, if the kernel gives one (now).
    pub(crate) fn open(&mut self) {
        if self.queue.is_some() {
            return;
        }
        let wake = self.wake.clone();
        match Queue::open(move || wake()) {
            Ok(queue) => self.queue = Some(queue),
            Err(error) => self.limited = Some(no_instance(&error)),
        }
    }

    /// Take what happened.
    pub(crate) fn happened(&mut self) -> Happened {
        let Some(noted) = self.queue.as_ref().map(Queue::take) else { return Happened::default() };
        self.overflows += u64::from(noted.overflowed);
        let mut happened = Happened { rescan: noted.lost, at: noted.at, ..Happened::default() };
        for ((number, name), touch) in noted.touched {
            // A number that means nothing is of a watch that was released: looked at since.
            for directory in self.names.get(&number).into_iter().flatten() {
                let path = if name.is_empty() { directory.clone() } else { directory.join(&name) };
                happened.paths.entry(path).or_default().and(touch);
            }
        }
        for path in noted.ended.iter().filter_map(|number| self.names.remove(number)).flatten() {
            self.armed.remove(&path);
            happened.paths.entry(path).or_default().and(ENDED);
        }
        happened
    }

    /// Arm the directories that are not yet, with their content where that is wanted; gives whether any was armed now,
    /// and whether any could not be.
    pub(crate) fn arm<'a>(&mut self, wanted: impl Iterator<Item = (&'a PathBuf, bool)>) -> (bool, bool) {
        let (mut fresh, mut failed) = (false, false);
        for (path, content) in wanted {
            let Some(identity) = identity(path) else {
                self.disarm(path);
                continue;
            };
            match self.armed.get(path) {
                Some(armed) if armed.identity == identity && armed.content >= content => continue,
                Some(armed) if armed.identity == identity => {}
                _ => self.disarm(path),
            }
            match self.watch(path, identity, content) {
                Ok(()) => fresh = true,
                Err(()) => failed = true,
            }
        }
        (fresh, failed)
    }

    fn watch(&mut self, path: &Path, identity: (u64, u64), content: bool) -> Result<(), ()> {
        if !self.armed.contains_key(path) && self.armed.len() >= self.budget {
            self.limited = Some(no_watches());
            return Err(());
        }
        let number = match self.queue.as_ref().ok_or(())?.add(path, content) {
            Ok(number) => number,
            // It went or became something else meanwhile, of which its parent tells.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => {
                let full = error == Errno::NOSPC;
                self.limited = Some(if full { no_watches() } else { format!("{}: {error}", path.display()) });
                return Err(());
            }
        };
        self.armed.insert(path.to_owned(), Armed { identity, number, content });
        let names = self.names.entry(number).or_default();
        if !names.iter().any(|name| name == path) {
            names.push(path.to_owned());
        }
        Ok(())
    }

    /// Release what is not in the set.
    pub(crate) fn keep(&mut self, wanted: &BTreeSet<&PathBuf>) {
        let stale: Vec<_> = self.armed.keys().filter(|path| !wanted.contains(path)).cloned().collect();
        stale.iter().for_each(|path| self.disarm(path));
    }

    /// A directory was moved: the kernel's watches follow it, and our names do not.
    pub(crate) fn distrust_below(&mut self, path: &Path) {
        let below: Vec<_> = self.armed.keys().filter(|armed| armed.starts_with(path)).cloned().collect();
        below.iter().for_each(|path| self.disarm(path));
    }

    /// Events were lost, that of a move perhaps among them.
    pub(crate) fn distrust(&mut self) {
        let all: Vec<_> = self.armed.keys().cloned().collect();
        all.iter().for_each(|path| self.disarm(path));
    }

    /// Whether the path is a directory that is armed.
    pub(crate) fn is_armed(&self, path: &Path) -> bool {
        self.armed.contains_key(path)
    }

    /// How many watches are in use.
    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }

    fn disarm(&mut self, path: &Path) {
        let Some(Armed { number, .. }) = self.armed.remove(path) else { return };
        let Some(names) = self.names.get_mut(&number) else { return };
        names.retain(|name| name != path);
        if names.is_empty() {
            self.names.remove(&number);
            self.queue.iter().for_each(|queue| queue.remove(number));
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_dir).map(|m| (m.dev(), m.ino()))
}

fn kernel_value(name: &str) -> String {
    // A user namespace may have a limit of its own, below that of the machine.
    let of = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let own = of(format!("/proc/sys/user/{}", name.replacen("max_user_", "max_inotify_", 1)));
    let machine = of(format!("/proc/sys/fs/inotify/{name}"));
    own.into_iter().chain(machine).min().map_or_else(|| "unknown".into(), |value| value.to_string())
}

fn no_watches() -> String {
    let now = kernel_value("max_user_watches");
    format!(
        "no inotify watch is left (fs.inotify.max_user_watches is {now}): raise it with sysctl; the rest is polled"
    )
}

fn no_instance(error: &std::io::Error) -> String {
    let now = kernel_value("max_user_instances");
    format!(
        "no inotify instance could be made ({error}; fs.inotify.max_user_instances is {now}): raise it with sysctl; \
         everything is polled"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_two_names_tells_by_both() {
        let dir = tempfile::tempdir().unwrap();
        let mut arms = Arms::new(None, || ());
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir(&a).unwrap();
        arms.arm([(&a, true)].into_iter());
        // As a second mount of it would, and as a rename does until it has been told.
        std::fs::rename(&a, &b).unwrap();
        arms.arm([(&b, true)].into_iter());
        std::fs::write(b.join("f"), "").unwrap();
        let told = arms.happened().paths;
        assert!(told.contains_key(&a.join("f")) && told.contains_key(&b.join("f")), "{told:?}");
    }

    #[test]
    fn a_directory_is_armed_once_and_again_when_it_is_another_or_more_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let mut arms = Arms::new(None, || ());
        let path = dir.path().join("d");
        assert_eq!(arms.arm([(&path, false)].into_iter()), (false, false), "it is not there");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(arms.arm([(&path, false)].into_iter()), (true, false));
        assert_eq!(arms.arm([(&path, false)].into_iter()), (false, false));
        assert_eq!(arms.arm([(&path, true)].into_iter()), (true, false), "its content too");
        assert_eq!(arms.arm([(&path, false)].into_iter()), (false, false), "more than is wanted");
        let aside = dir.path().join("aside");
        std::fs::rename(&path, aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(arms.arm([(&path, true)].into_iter()), (true, false), "another one");
        assert_eq!((arms.len(), arms.names.len()), (1, 1));
        arms.distrust();
        assert_eq!((arms.len(), arms.names.len()), (0, 0));
    }
}
