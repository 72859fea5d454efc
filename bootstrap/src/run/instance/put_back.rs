//! Files that the states keep and somebody edited: put back by the steps that keep them, and by nothing else, so that no
//! service is restarted for content that it never read.

use super::super::revert;
use super::{Announce, Converge, Instance, LowState, Options, Report, Stopped, say, watches};
use crate::fetch::{Fetched, Link};
use mayfly_states::report::{Outcome, StepReport};
use mayfly_watcher::rule::Rule;
use mayfly_watcher::watch::Watcher;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Instance<'_> {
    /// Puts back what was edited since the last time. What cannot be is told again by the watcher, in a while.
    pub(in crate::run) fn put_back(&mut self) -> Result<(), Stopped> {
        let paths = self.resident.edits.take();
        if paths.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        match self.apply_alone(&paths) {
            Ok(report) => self.tell_put_back(&paths, &report),
            Err(reason) => say(format!("{} cannot be put back: {reason}", listed(&paths))),
        }
        Ok(())
    }

    fn apply_alone(&self, paths: &[PathBuf]) -> Result<Report, String> {
        let applied = self.applied().ok_or("the tree that holds it is not there any more")?;
        let (converge, low) = self.compiled(&applied)?;
        let steps = revert::steps(&low, paths, self.resident.root());
        self.apply_steps(&converge, &low, &steps)
    }

    /// The tree whose rules are armed: not the current one while that cannot be compiled.
    fn applied(&self) -> Option<Fetched> {
        let applied = self.resident.board.snapshot().applied?;
        let kept = [Link::Current, Link::Good].into_iter().filter_map(|link| self.trees.kept(link));
        kept.into_iter().find(|kept| kept.commit == applied)
    }

    fn apply_steps(&self, converge: &Converge, low: &LowState, steps: &LowState) -> Result<Report, String> {
        let root = self.resident.root();
        let rules = watches::rules(low, &self.declared(low)?, root);
        let mut announce = Announce::new(self, low, Approve::new(&self.watcher, &rules, root));
        let _paused = self.watcher.pause();
        Ok(converge.apply(steps, Options::default(), &mut announce))
    }

    fn tell_put_back(&self, paths: &[PathBuf], report: &Report) {
        if let Some(step) = report.failed().next() {
            return say(format!("{} cannot be put back: {}", listed(paths), step.comment));
        }
        match report.changed() {
            0 => say(format!("{} edited by hand where no state holds them", listed(paths))),
            changed => {
                say(format!("put back {}", listed(paths)));
                self.resident.board.note(|status| status.totals.edits_reverted += changed as u64);
            }
        }
    }
}

/// Tells the watcher that a step has left what it keeps as it should be.
pub(super) struct Approve<'a> {
    watcher: &'a Watcher,
    guarded: BTreeSet<PathBuf>,
    root: &'a Path,
}

impl<'a> Approve<'a> {
    /// For the kept files of these rules.
    pub(super) fn new(watcher: &'a Watcher, rules: &[Rule], root: &'a Path) -> Self {
        Self { watcher, guarded: watches::guarded(rules), root }
    }

    /// A step has ended.
    pub(super) fn step(&self, step: &StepReport) {
        let path = watches::below(self.root, Path::new(&step.name));
        let held = step.tag.starts_with("file_|-") && step.outcome == Outcome::Ok && step.ran;
        if held && self.guarded.contains(&path) {
            self.watcher.approve(vec![path]);
        }
    }
}

/// Paths in a sentence, the first few of many.
pub(super) fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(3).map(|path| path.display().to_string()).collect();
    match paths.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
