//! Looking ahead: plain files whose turn is about to come are looked at on another core, while nothing changes.
//!
//! A step that finds all as asked has no effect, so the steps behind it see the same machine whether they look before or after
//! it. Only such looks count: the walk takes over "as asked" from a step that was looked at early, and carries out everything else
//! itself when its turn comes. Whatever may have changed something ends the looks that began before it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crate::engine::Facts;
use crate::engine::carry::Shared;
use crate::engine::step::Return;
use crate::low::Chunk;
use crate::report::Outcome;
use crate::value::Value;

/// Steps without effect before it is worth it: in a run that changes things, looks are in vain.
const QUIET: usize = 8;
/// How far ahead of the walk.
const WINDOW: usize = 96;

/// What a look showed.
pub(super) struct Look {
    pub(super) ret: Return,
    pub(super) started: f64,
    pub(super) ended: f64,
    /// How many effects there had been when it began.
    effects: usize,
}

/// Where the walk and the one who looks ahead meet.
#[derive(Default)]
struct Meeting {
    /// Where the walk is.
    at: usize,
    /// The next step that nobody has looked at.
    next: usize,
    /// Which one is being looked at ahead of the walk.
    busy: Option<usize>,
    looks: BTreeMap<usize, Look>,
    effects: usize,
    /// Whether looking ahead is worth it now.
    quiet: bool,
    over: bool,
}

/// The looks ahead of a run.
pub(super) struct Ahead<'e> {
    shared: Shared<'e>,
    /// By step: whether it may be looked at before its turn.
    plain: Vec<bool>,
    meeting: Mutex<Meeting>,
    changed: Condvar,
}

impl<'e> Ahead<'e> {
    pub(super) fn new(shared: Shared<'e>) -> Self {
        let plain = shared.low.chunks.iter().map(is_plain).collect();
        Self { shared, plain, meeting: Mutex::default(), changed: Condvar::new() }
    }

    fn meet(&self) -> MutexGuard<'_, Meeting> {
        // Nothing panics between a change of one field and of the next.
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'m>(&self, meeting: MutexGuard<'m, Meeting>) -> MutexGuard<'m, Meeting> {
        self.changed.wait(meeting).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next plain step that nobody has looked at, not further ahead than is useful; it is the caller's now.
    fn claim(&self, meeting: &mut Meeting) -> Option<usize> {
        let end = self.plain.len().min(meeting.at + WINDOW);
        let found = (meeting.next.max(meeting.at)..end).find(|i| self.plain[*i]);
        meeting.next = found.map_or(meeting.next, |i| i + 1);
        found
    }

    fn look(&self, i: usize, facts: &Facts, effects: usize) -> Look {
        let now = || self.shared.context.host.now();
        let started = now();
        let ret = self.shared.look(i, facts);
        Look { ret, started, ended: now(), effects }
    }

    /// The one who looks ahead, on a thread of its own.
    fn work(&self) {
        let facts = Facts::default();
        let mut meeting = self.meet();
        while !meeting.over {
            let claimed = if meeting.quiet { self.claim(&mut meeting) } else { None };
            let Some(i) = claimed else {
                meeting = self.wait(meeting);
                continue;
            };
            meeting.busy = Some(i);
            let effects = meeting.effects;
            drop(meeting);
            let look = self.look(i, &facts, effects);
            meeting = self.meet();
            meeting.busy = None;
            meeting.looks.insert(i, look);
            self.changed.notify_one();
        }
    }
}

/// The walk's side.
pub(super) struct Lookout<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    ahead: &'e Ahead<'e>,
    /// Steps without effect since the last one that had one.
    quiet: usize,
    worker: Worker,
}

/// Who looks ahead.
#[derive(PartialEq)]
enum Worker {
    /// Nobody: there is one core, or too little to do.
    Nobody,
    NotBegun,
    Begun,
}

impl<'s, 'e> Lookout<'s, 'e> {
    pub(super) fn new(scope: &'s Scope<'s, 'e>, ahead: &'e Ahead<'e>) -> Self {
        // With one core there is nobody to look; below a handful of steps nothing to be gained.
        let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        let few = ahead.plain.iter().filter(|plain| **plain).count() < 2 * QUIET;
        let worker = if alone || few { Worker::Nobody } else { Worker::NotBegun };
        Self { scope, ahead, quiet: 0, worker }
    }

    /// What step `i` needs no more than to be told: a look at it found all as asked, and nothing has changed since.
    pub(super) fn seen(&mut self, i: usize, facts: &Facts) -> Option<Look> {
        if !self.ahead.plain[i] || self.quiet < QUIET || self.worker == Worker::Nobody {
            return None;
        }
        self.begin();
        let mut meeting = self.ahead.meet();
        meeting.at = i;
        while meeting.busy == Some(i) {
            // Instead of waiting: one step further on.
            let Some(further) = self.ahead.claim(&mut meeting) else {
                meeting = self.ahead.wait(meeting);
                continue;
            };
            let effects = meeting.effects;
            drop(meeting);
            let look = self.ahead.look(further, facts, effects);
            meeting = self.ahead.meet();
            meeting.looks.insert(further, look);
        }
        meeting.next = meeting.next.max(i + 1);
        let look = meeting.looks.remove(&i)?;
        if meeting.looks.len() == WINDOW / 2 {
            self.ahead.changed.notify_one();
        }
        let as_asked = look.ret.outcome == Outcome::Ok && look.ret.changes.is_empty();
        (as_asked && look.effects == meeting.effects).then_some(look)
    }

    fn begin(&mut self) {
        if self.worker == Worker::NotBegun {
            self.worker = Worker::Begun;
            let ahead = self.ahead;
            ahead.meet().quiet = true;
            let thread = std::thread::Builder::new().name("ahead".to_owned());
            // Without a thread the walk looks at everything itself.
            let _ = thread.spawn_scoped(self.scope, move || ahead.work());
        }
    }

    /// A step went by and had no effect.
    pub(super) fn nothing_happened(&mut self) {
        self.quiet += 1;
        if self.quiet == QUIET && self.worker == Worker::Begun {
            self.ahead.meet().quiet = true;
            self.ahead.changed.notify_one();
        }
    }

    /// Step `i` may have changed something: what was seen before does not count any more.
    pub(super) fn something_happened(&mut self, i: usize) {
        self.quiet = 0;
        if self.worker == Worker::Begun {
            let mut meeting = self.ahead.meet();
            meeting.effects += 1;
            meeting.quiet = false;
            meeting.looks.clear();
            meeting.at = i + 1;
            meeting.next = i + 1;
        }
    }
}

impl Drop for Lookout<'_, '_> {
    fn drop(&mut self) {
        self.ahead.meet().over = true;
        self.ahead.changed.notify_one();
    }
}

/// Whether a step that carried out no plan had no other effect either: it ran no command of the tree, and its function looks
/// before it acts.
pub(super) fn only_looks(chunk: &Chunk) -> bool {
    const LOOK: &[&str] = &["cron", "file", "group", "host", "ini", "service", "ssh_auth", "user"];
    const COMMANDS: &[&str] = &["check_cmd", "onlyif", "retry", "template", "unless"];
    LOOK.contains(&chunk.state.as_str()) && !asks(chunk, COMMANDS)
}

/// Whether a step only looks at files of this machine: no template, no command, nothing from elsewhere.
fn is_plain(chunk: &Chunk) -> bool {
    const PLAIN: &[&str] = &["absent", "directory", "exists", "managed", "missing", "symlink"];
    const MORE: &[&str] = &["creates", "parallel", "source_hash"];
    chunk.state == "file"
        && PLAIN.contains(&chunk.fun.as_str())
        && only_looks(chunk)
        && !asks(chunk, MORE)
        && chunk.arg("source").is_none_or(is_here)
}

fn asks(chunk: &Chunk, keys: &[&str]) -> bool {
    keys.iter().any(|key| chunk.args.contains_key(*key))
}

/// Whether a source is of the tree or of this machine.
fn is_here(source: &Value) -> bool {
    source.as_str().is_some_and(|name| name.starts_with("salt://") || name.starts_with('/'))
}
