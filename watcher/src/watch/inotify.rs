//! The kernel's queue of events: one descriptor and the thread that empties it. Knows watches by their numbers alone.
//!
//! Not the crate `notify`: its thread alone empties the queue, so that nobody can ask what has happened until now (an edit
//! would be cut in two), and it tells of a directory that is mounted twice by one name only, with one mask for all.

// Effects: inotify, and the thread that waits for it.
#![allow(clippy::disallowed_methods)]

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::{Errno, Result};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{PipeReader, PipeWriter, pipe};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// More names than this at once are not told one by one; everything is looked at instead.
pub(crate) const MAX_TOLD: usize = 4096;
const BUFFER: usize = 16 << 10;
/// What comes into a directory, leaves it, or happens to itself.
const SHAPE: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
/// What happens to the files in it. Reading is not asked for: our own looking would wake us for ever.
const CONTENT: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::CLOSE_WRITE).union(WatchFlags::ATTRIB);
/// Only the directory that is meant, added to what is asked of it already.
const HOW: WatchFlags = WatchFlags::ONLYDIR
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::MASK_ADD);
/// The shape of things is another.
const SHAPED: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM)
    .union(ReadFlags::MOVED_TO)
    .union(ReadFlags::MOVE_SELF)
    .union(ReadFlags::UNMOUNT);
const STRUCTURAL: ReadFlags = SHAPED.union(ReadFlags::DELETE_SELF).union(ReadFlags::IGNORED);
/// After these it may hold something else, if only for a moment. Not after the end of a directory, which comes when the
/// last one that had it open lets go of it: that its content and its name went was told before.
const ALTERING: ReadFlags = SHAPED.union(ReadFlags::MODIFY);
const MOVED: ReadFlags = ReadFlags::MOVED_FROM.union(ReadFlags::MOVE_SELF).union(ReadFlags::UNMOUNT);

/// What happened to a name.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Touch {
    /// It was created, removed or renamed.
    pub(crate) structural: bool,
    /// It was renamed, or its file system went: what we knew by its name is elsewhere.
    pub(crate) moved: bool,
    /// It held something else, if only for a moment.
    pub(crate) altering: bool,
}

impl Touch {
    /// Both together.
    pub(crate) fn and(&mut self, other: Self) {
        self.structural |= other.structural;
        self.moved |= other.moved;
        self.altering |= other.altering;
    }
}

/// What the queue has told since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Watch and name in it; no name for the directory itself.
    pub(crate) touched: HashMap<(i32, OsString), Touch>,
    /// Watches that are no more.
    pub(crate) ended: Vec<i32>,
    /// The kernel threw events away.
    pub(crate) overflowed: bool,
    /// Events were lost or are too many.
    pub(crate) lost: bool,
    /// When the last of it was noted.
    pub(crate) at: Option<Instant>,
}

impl Noted {
    fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.ended.is_empty() && !self.lost
    }

    fn note(&mut self, number: i32, events: ReadFlags, name: &OsStr) {
        self.at = Some(Instant::now());
        if events.contains(ReadFlags::IGNORED) {
            self.ended.push(number);
        }
        self.overflowed |= events.contains(ReadFlags::QUEUE_OVERFLOW);
        self.lost |= self.overflowed || self.touched.len() >= MAX_TOLD;
        if self.lost {
            return self.touched.clear();
        }
        let touch = Touch {
            structural: events.intersects(STRUCTURAL),
            moved: events.intersects(MOVED),
            altering: events.intersects(ALTERING),
        };
        self.touched.entry((number, name.to_owned())).or_default().and(touch);
    }
}

/// One descriptor. Dropping it ends its thread.
pub(crate) struct Queue {
    descriptor: Arc<OwnedFd>,
    pub(super) noted: Arc<Mutex<Noted>>,
    _end: PipeWriter,
}

impl Queue {
    /// Without watches. `wake` is called when something was noted after [`Queue::take`] was last called.
    pub(crate) fn open(wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let descriptor = Arc::new(init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        let (end, _end) = pipe()?;
        let noted: Arc<Mutex<Noted>> = Arc::default();
        let (from, to) = (descriptor.clone(), noted.clone());
        let thread = std::thread::Builder::new().name("watch-events".into()).stack_size(128 << 10);
        thread.spawn(move || empty(&from, &end, &to, &wake))?;
        Ok(Self { descriptor, noted, _end })
    }

    /// Watch a directory, for what happens to the files in it too when `content`. Gives the number of the watch, which
    /// is the one that the directory has already, if it has.
    pub(crate) fn add(&self, path: &Path, content: bool) -> Result<i32> {
        let wanted = if content { SHAPE.union(CONTENT) } else { SHAPE };
        add_watch(&*self.descriptor, path, wanted.union(HOW))
    }

    /// Watch it no more. It fails when the kernel dropped the watch with its directory, which is as well.
    pub(crate) fn remove(&self, number: i32) {
        let _ = remove_watch(&*self.descriptor, number);
    }

    /// Take what has happened until now, whether or not the thread has come to it.
    pub(crate) fn take(&self) -> Noted {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&*self.descriptor, &mut buffer);
        while note_buffer(&mut reader, &mut noted) {}
        std::mem::take(&mut noted)
    }
}

/// The thread: empties the kernel's queue whenever there is something in it, until the other end of `end` is closed.
fn empty(descriptor: &OwnedFd, end: &PipeReader, noted: &Mutex<Noted>, wake: &impl Fn()) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = Reader::new(descriptor, &mut buffer);
    loop {
        let mut both =
            [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN), PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        match poll(&mut both, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            Err(_) => return,
            Ok(_) if both[1].any() != Some(false) => return,
            Ok(_) => {}
        }
        // Read under the lock: what left the kernel's queue has been noted for whoever has the lock next.
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = noted.is_empty();
        note_buffer(&mut reader, &mut noted);
        if quiet && !noted.is_empty() {
            wake();
        }
    }
}

/// Read once and note all of it. False when there was nothing.
fn note_buffer(reader: &mut Reader<'_, &OwnedFd>, noted: &mut Noted) -> bool {
    loop {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name().map_or(&[][..], |name| name.to_bytes());
                noted.note(event.wd(), event.events(), OsStr::from_bytes(name));
            }
            Err(Errno::WOULDBLOCK) => return false,
            Err(Errno::INTR) => continue,
            Err(error) => {
                tracing::error!("reading inotify events: {error}");
                noted.lost = true;
                return false;
            }
        }
        if reader.is_buffer_empty() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn an_overflowed_queue_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, woken) = channel();
        let queue = Queue::open(move || _ = wake.send(())).unwrap();
        queue.add(dir.path(), false).unwrap();
        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        {
            // The thread that empties the kernel's queue waits for this lock.
            let held = queue.noted.clone();
            let _held = held.lock().unwrap();
            let (a, b) = (dir.path().join("a"), dir.path().join("b"));
            std::fs::write(&a, "").unwrap();
            // Four events each; what the thread had read already is made up for amply.
            for _ in 0..limit.trim().parse::<usize>().unwrap() {
                std::fs::rename(&a, &b).unwrap();
                std::fs::rename(&b, &a).unwrap();
            }
        }
        woken.recv_timeout(LONG).unwrap();
        let deadline = Instant::now() + LONG;
        while !queue.take().overflowed {
            assert!(Instant::now() < deadline, "the overflow was not told");
            let _ = woken.recv_timeout(LONG);
        }
    }

    #[test]
    fn what_has_happened_is_told_without_waiting_for_the_thread() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::open(|| ()).unwrap();
        let number = queue.add(dir.path(), true).unwrap();
        for n in 0..1000 {
            std::fs::write(dir.path().join("a"), n.to_string()).unwrap();
            assert!(queue.take().touched.contains_key(&(number, "a".into())), "write {n}");
        }
    }

    #[test]
    fn many_names_at_once_are_told_as_lost() {
        let mut noted = Noted::default();
        for number in 0..=MAX_TOLD {
            noted.note(1, ReadFlags::CREATE, OsStr::new(&number.to_string()));
        }
        assert!(noted.lost && !noted.overflowed && noted.touched.is_empty());
    }

    #[test]
    fn reading_wakes_nobody_and_writing_only_where_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, woken) = channel();
        let queue = Queue::open(move || _ = wake.send(())).unwrap();
        for name in ["way", "files"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("a"), "x").unwrap();
        }
        let way = queue.add(&dir.path().join("way"), false).unwrap();
        let files = queue.add(&dir.path().join("files"), true).unwrap();
        std::fs::read(dir.path().join("files/a")).unwrap();
        std::fs::write(dir.path().join("way/a"), "y").unwrap();
        std::fs::write(dir.path().join("way/b"), "y").unwrap();
        std::fs::write(dir.path().join("files/a"), "y").unwrap();
        let mut seen = HashMap::new();
        while !seen.contains_key(&(files, OsString::from("a"))) {
            woken.recv_timeout(LONG).unwrap();
            seen.extend(queue.take().touched);
        }
        assert!(seen.contains_key(&(way, "b".into())) && !seen.contains_key(&(way, "a".into())), "{seen:?}");
    }

    #[test]
    fn the_thread_ends_with_the_queue() {
        let queue = Queue::open(|| ()).unwrap();
        let noted = Arc::downgrade(&queue.noted);
        drop(queue);
        let deadline = Instant::now() + LONG;
        while noted.upgrade().is_some() {
            assert!(Instant::now() < deadline, "the thread lives on");
            std::thread::yield_now();
        }
    }
}
