//! One rule on the board: where it stands, what its service runs with, what was edited, how often it acted. Pure.

use super::board::{Cause, Now};
use super::reading::Reading;
use super::survey::{Mark, Print};
use crate::rule::{OnEdit, Rate, Rule};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Paths that never come to rest are acted on after this long, or after this many debounces if that is longer.
const UNSETTLED: (Duration, u32) = (Duration::from_secs(30), 100);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// A keeper that was told has this long before it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// Nothing is to be done.
    Quiet,
    /// Something happened (first at `since`); looked at when `until` has come.
    Pending { since: Now, until: Now },
    /// The check runs on this content.
    Checking { candidate: Arc<Print>, touched: Option<Now> },
    /// The action runs with this content.
    Acting { candidate: Arc<Print>, touched: Option<Now> },
    /// The check or the action failed; tried again then.
    Refused { until: Now },
    /// The rule has acted as often as it may; there is room then.
    Held { until: Now },
    /// A kept path was edited and is to be put back; told again then.
    Edited { until: Now },
}

/// What was edited: the paths, and what they hold if they are there.
type Edits = BTreeMap<PathBuf, Option<Mark>>;

#[derive(Debug)]
struct Told {
    edits: Edits,
    count: u32,
    again: Now,
}

/// One rule on the board.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) rule: Rule,
    pub(crate) state: State,
    /// The content that the service runs with.
    pub(super) baseline: Arc<Print>,
    /// The content that failed last, and how often in a row.
    refused: Option<(Arc<Print>, u32)>,
    /// What their keeper left in the rule's kept paths.
    kept: Print,
    told: Option<Told>,
    /// When the last actions were, as many as the rate counts, oldest first.
    done: VecDeque<Now>,
    /// Whether the baseline is what the service has read.
    pub(super) reading: Reading,
    /// That the rate holds a change was told.
    pub(super) holding: bool,
}

impl Entry {
    /// A rule whose service runs with this content.
    pub(crate) fn new(rule: Rule, print: Print) -> Self {
        let kept = print.iter().filter(|(path, _)| rule.guards(path)).map(|(p, m)| (p.clone(), m.clone()));
        Self {
            state: State::Quiet,
            kept: kept.collect(),
            baseline: Arc::new(print),
            refused: None,
            told: None,
            done: VecDeque::new(),
            reading: Reading::default(),
            holding: false,
            rule,
        }
    }

    /// In the place of another rule of the same name: what is known of the paths that both have, stays known.
    pub(crate) fn instead_of(mut self, old: Self) -> Self {
        let baseline = Arc::make_mut(&mut self.baseline);
        for (path, mark) in baseline.iter_mut() {
            if let Some(known) = old.baseline.get(path) {
                mark.clone_from(known);
            }
        }
        for (path, mark) in &mut self.kept {
            if let Some(known) = old.kept.get(path) {
                mark.clone_from(known);
            }
        }
        Self { state: old.state, done: old.done, reading: old.reading, ..self }
    }

    /// A job of the rule is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Checking { .. } | State::Acting { .. })
    }

    /// An event: wait until the paths have been quiet for the debounce, but not for ever.
    pub(crate) fn touch(&mut self, now: Now) {
        let debounce = self.rule.debounce;
        match &mut self.state {
            State::Checking { touched, .. } | State::Acting { touched, .. } => _ = touched.get_or_insert(now),
            State::Pending { since, until } => {
                let limit = UNSETTLED.0.max(debounce.saturating_mul(UNSETTLED.1));
                *until = (now + debounce).min(*since + limit);
            }
            State::Quiet | State::Refused { .. } | State::Held { .. } | State::Edited { .. } => {
                self.state = State::Pending { since: now, until: now + debounce }
            }
        }
    }

    /// After a job: what happened meanwhile is looked at in its turn.
    pub(crate) fn wait_again(&mut self, touched: Option<Now>, now: Now) {
        self.state = match touched {
            Some(since) => State::Pending { since, until: now + self.rule.debounce },
            None => State::Quiet,
        };
    }

    /// Without a change the content is what the service runs with.
    pub(crate) fn rest_unless(&mut self, changed: bool) {
        if changed {
            return;
        }
        self.state = State::Quiet;
        self.refused = None;
        self.holding = false;
    }

    /// The service runs with this content from now on.
    pub(crate) fn runs_with(&mut self, content: Arc<Print>) {
        self.baseline = content;
        self.refused = None;
        self.holding = false;
        if matches!(self.state, State::Refused { .. } | State::Held { .. }) {
            self.state = State::Quiet;
        }
    }

    /// The service was started, and takes this long to read its files. Edits that are put back or only told of are to
    /// restart nothing, once it is up.
    pub(crate) fn started(&mut self, now: Now, takes: Duration) {
        let takes = if self.rule.on_edit == OnEdit::Act { takes } else { Duration::ZERO };
        self.reading.started(now, takes);
    }

    /// This content failed. True when it is for the first time.
    pub(crate) fn refuse(&mut self, content: Arc<Print>, now: Now) -> bool {
        let before = self.refused.take().filter(|(print, _)| *print == content).map_or(0, |(_, count)| count);
        self.refused = Some((content, before + 1));
        let pause = RETRY_FIRST.saturating_mul(1 << before.min(16)).min(RETRY_LONGEST);
        self.state = State::Refused { until: now + pause };
        before == 0
    }

    /// Whether a failure stands.
    pub(crate) fn failing(&self) -> bool {
        self.refused.is_some()
    }

    /// An action was carried out.
    pub(crate) fn count(&mut self, now: Now) {
        let Some(Rate { actions, .. }) = self.rule.rate else { return };
        self.done.push_back(now);
        while self.done.len() > actions as usize {
            self.done.pop_front();
        }
    }

    /// When the rule may act again; `None` when it may now.
    pub(crate) fn held_until(&self, now: Now) -> Option<Now> {
        let Rate { actions, window } = self.rule.rate?;
        let oldest = self.done.front().filter(|_| self.done.len() >= actions as usize)?;
        Some(*oldest + window).filter(|until| *until > now)
    }

    /// What is to be acted on in this content: the first path that is not as the service knows it. What is only to be
    /// reported is none.
    pub(crate) fn change(&self, print: &Print) -> Option<(PathBuf, Cause)> {
        let edited = |path: &Path| self.told.as_ref().is_some_and(|told| told.edits.contains_key(path));
        difference_but(&self.baseline, print, edited).or_else(|| self.doubt())
    }

    /// The same content is acted on too when the service may have read another.
    fn doubt(&self) -> Option<(PathBuf, Cause)> {
        let path =
            self.baseline.keys().next().or(self.rule.paths.first()).filter(|_| self.reading.is_unsure());
        path.map(|path| (path.clone(), Cause::Changed))
    }

    /// Find the edits in this content. Their paths when they are to be told: of new ones at once, of those that are to
    /// be put back and are not now and then.
    pub(crate) fn find_edits(&mut self, print: &Print, now: Now) -> Option<Vec<PathBuf>> {
        let edits = self.edits(print);
        let before = self.told.take().filter(|told| told.edits == edits);
        if edits.is_empty() {
            return None;
        }
        let (count, again) = before.map_or((0, now), |told| (told.count, told.again));
        let tell = count == 0 || (self.rule.on_edit == OnEdit::Revert && again <= now);
        let paths = edits.keys().cloned().collect();
        self.told = Some(if tell {
            let pause = TELL_AGAIN.saturating_mul(1 << count.min(16)).min(RETRY_LONGEST);
            Told { edits, count: count + 1, again: now + pause }
        } else {
            Told { edits, count, again }
        });
        tell.then_some(paths)
    }

    fn edits(&self, print: &Print) -> Edits {
        if self.rule.on_edit == OnEdit::Act {
            return Edits::new();
        }
        let paths: BTreeSet<_> =
            print.keys().filter(|p| self.rule.guards(p)).chain(self.kept.keys()).collect();
        let other = paths.into_iter().filter(|path| print.get(*path) != self.kept.get(*path));
        other.map(|path| (path.clone(), print.get(path).cloned())).collect()
    }

    /// The paths that were edited and are so still.
    pub(crate) fn edited(&self) -> Vec<PathBuf> {
        self.told.iter().flat_map(|told| told.edits.keys().cloned()).collect()
    }

    /// Until when nothing is to be done to the service because an edit is to be put back.
    pub(crate) fn awaits_revert(&self) -> Option<Now> {
        self.told.as_ref().filter(|_| self.rule.on_edit == OnEdit::Revert).map(|told| told.again)
    }

    /// The keeper has left this at a path and below it.
    pub(crate) fn approve(&mut self, path: &Path, marks: Print, now: Now) {
        let (mut of_path, rest): (Print, Print) =
            std::mem::take(&mut self.kept).into_iter().partition(|(kept, _)| kept.starts_with(path));
        let news = of_path != marks || self.told.is_some();
        of_path = marks;
        self.kept = rest;
        self.kept.append(&mut of_path);
        if news {
            self.touch(now);
        }
    }
}

/// The first path at which two moments differ.
pub(crate) fn difference(old: &Print, new: &Print) -> Option<(PathBuf, Cause)> {
    difference_but(old, new, |_| false)
}

fn difference_but(old: &Print, new: &Print, but: impl Fn(&Path) -> bool) -> Option<(PathBuf, Cause)> {
    let gone = old.keys().find(|path| !new.contains_key(*path) && !but(path));
    let gone = gone.map(|path| (path.clone(), Cause::Removed));
    let other = new.iter().filter(|(path, _)| !but(path)).find_map(|(path, mark)| match old.get(path) {
        None => Some((path.clone(), Cause::Created)),
        Some(before) if before != mark => Some((path.clone(), Cause::Changed)),
        Some(_) => None,
    });
    other.or(gone)
}
