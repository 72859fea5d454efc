//! What a rendering has used up: counted on through the renderings that it starts itself.

use std::cell::Cell;

/// Work, depth and size so far.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// Statements, expressions, loop rounds, and sizes of results in small units.
    pub(super) steps: Cell<u64>,
    /// The count of steps at which the clock is looked at again.
    pub(super) look_at: Cell<u64>,
    /// Calls inside of calls.
    pub(super) depth: Cell<usize>,
    /// Expressions inside of expressions, over all calls that have not ended.
    pub(super) nested: Cell<usize>,
    /// Bytes written.
    pub(super) written: Cell<usize>,
    /// Renderings that have not ended.
    running: Cell<usize>,
}

impl Spent {
    /// Counts a rendering until the answer is dropped; the outermost one starts anew.
    pub(super) fn begin(&self) -> Running<'_> {
        if self.running.get() == 0 {
            self.steps.set(0);
            self.look_at.set(0);
            self.written.set(0);
        }
        self.running.set(self.running.get() + 1);
        Running(self)
    }
}

/// A rendering that has not ended.
pub(super) struct Running<'s>(&'s Spent);

impl Running<'_> {
    /// Another rendering has started this one.
    pub(super) fn is_inner(&self) -> bool {
        self.0.running.get() > 1
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get().saturating_sub(1));
    }
}
