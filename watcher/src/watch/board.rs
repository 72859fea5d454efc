//! The decisions: which rule waits, is checked or acted on, and what follows. Pure; time is an argument.
//!
//! ```text
//! Quiet ──event──▶ Pending ──quiet long enough, content differs──▶ Checking ──passes──▶ Acting ──done──▶ Quiet
//!   ▲                 │ ▲                                             │ fails              │ fails
//!   └──same content───┘ └───────────────── event ◀── Refused ◀────────┴────────────────────┘
//! ```
//! A refused change is tried again later, with growing pauses, and at once on the next event.

use super::survey::Print;
use crate::rule::{Action, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Time since some start; the caller's clock.
pub(crate) type Now = Duration;

/// Paths that never come to rest are acted on after this long, or after this many debounces if that is longer.
const UNSETTLED: (Duration, u32) = (Duration::from_secs(30), 100);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It was not there before.
    Created,
    /// Its content is another.
    Changed,
    /// It is there no more.
    Removed,
}

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
}

/// One rule on the board.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) rule: Rule,
    pub(crate) state: State,
    /// The content that the service runs with.
    baseline: Arc<Print>,
    /// The content that failed last, and how often in a row.
    refused: Option<(Arc<Print>, u32)>,
}

/// One action and the rules that it serves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Act {
    pub(crate) action: Action,
    /// The first names the event.
    pub(crate) members: Vec<Member>,
}

/// A rule with a change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) rule: String,
    pub(crate) path: PathBuf,
    pub(crate) cause: Cause,
}

/// What is to be done for one service: the checks, all of which must pass, then the actions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) service: String,
    pub(crate) checks: Vec<Vec<String>>,
    pub(crate) acts: Vec<Act>,
}

impl Job {
    /// Every rule that takes part.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Member> {
        self.acts.iter().flat_map(|act| &act.members)
    }
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) entries: BTreeMap<String, Entry>,
    paused: bool,
}

impl Board {
    /// Put a rule on the board, with the content that counts as known.
    pub(crate) fn insert(&mut self, rule: Rule, baseline: Print) {
        let entry = Entry { state: State::Quiet, baseline: Arc::new(baseline), refused: None, rule };
        self.entries.insert(entry.rule.name.clone(), entry);
    }

    /// Take a rule off. A job that it takes part in goes on.
    pub(crate) fn remove(&mut self, rule: &str) {
        self.entries.remove(rule);
    }

    /// Something happened to a path of the rule.
    pub(crate) fn touched(&mut self, rule: &str, now: Now) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.touch(now);
        }
    }

    /// When [`Board::due`] will have something to say.
    pub(crate) fn next_deadline(&self) -> Option<Now> {
        if self.paused {
            return None;
        }
        let services: BTreeSet<_> = self.entries.values().map(|e| e.rule.service.as_str()).collect();
        services.into_iter().filter_map(|service| self.service_deadline(service)).min()
    }

    /// When the service's waiting rules have all come to rest; `None` while it is busy or nothing waits.
    fn service_deadline(&self, service: &str) -> Option<Now> {
        let of_service = || self.entries.values().filter(|e| e.rule.service == service);
        if of_service().any(Entry::is_busy) {
            return None;
        }
        // Rules with an event wait for one another, so that one edit of both gives one restart. A retry waits for none.
        let pending = of_service()
            .filter_map(|e| if let State::Pending { until, .. } = e.state { Some(until) } else { None });
        let retry = of_service()
            .filter_map(|e| if let State::Refused { until } = e.state { Some(until) } else { None });
        pending.max().or_else(|| retry.min())
    }

    /// The services whose files are to be looked at now.
    pub(crate) fn due(&self, now: Now) -> Vec<String> {
        if self.paused {
            return vec![];
        }
        let services: BTreeSet<_> = self.entries.values().map(|e| e.rule.service.as_str()).collect();
        let due = services.into_iter().filter(|s| self.service_deadline(s).is_some_and(|at| at <= now));
        due.map(str::to_owned).collect()
    }

    /// The rules of a service.
    pub(crate) fn rules_of(&self, service: &str) -> Vec<String> {
        let names = self.entries.iter().filter(|(_, e)| e.rule.service == service);
        names.map(|(name, _)| name.clone()).collect()
    }

    /// The content of a service's files is this: what is to be done? Rules without a change become quiet.
    pub(crate) fn decide(&mut self, service: &str, prints: &BTreeMap<String, Arc<Print>>) -> Option<Job> {
        let mut changed = Vec::new();
        for (name, entry) in self.entries.iter_mut().filter(|(_, e)| e.rule.service == service) {
            let Some(print) = prints.get(name) else { continue };
            match difference(&entry.baseline, print) {
                None => {
                    entry.state = State::Quiet;
                    entry.refused = None;
                }
                Some((path, cause)) => {
                    entry.state = State::Checking { candidate: print.clone(), touched: None };
                    changed.push((entry.rule.clone(), Member { rule: name.clone(), path, cause }));
                }
            }
        }
        if changed.is_empty() {
            return None;
        }
        let mut checks: Vec<_> = changed.iter().filter_map(|(rule, _)| rule.check.clone()).collect();
        checks.sort();
        checks.dedup();
        Some(Job { service: service.to_owned(), checks, acts: acts(changed) })
    }

    /// The checks passed and this is the content now. True: act. False: it is another than was checked, or the one
    /// that the service runs with already; the rules wait again.
    pub(crate) fn passed(&mut self, job: &Job, prints: &BTreeMap<String, Arc<Print>>, now: Now) -> bool {
        let same =
            job.rules().all(|member| match self.entries.get(&member.rule).map(|e| (&e.state, &e.baseline)) {
                Some((State::Checking { candidate, .. }, baseline)) => {
                    prints.get(&member.rule).is_none_or(|print| print == candidate && print != baseline)
                }
                _ => true,
            });
        for member in job.rules() {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            let State::Checking { candidate, touched } = entry.state.clone() else { continue };
            if same {
                entry.state = State::Acting { candidate, touched };
            } else {
                entry.wait_again(touched.or(Some(now)), now);
            }
        }
        same
    }

    /// A job's action succeeded.
    pub(crate) fn acted(&mut self, act: &Act, now: Now) {
        for member in &act.members {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            if let State::Acting { candidate, touched } = entry.state.clone() {
                entry.baseline = candidate;
                entry.refused = None;
                entry.wait_again(touched, now);
            }
        }
    }

    /// A check or an action failed for these rules. True when this content failed for the first time.
    pub(crate) fn refused<'a>(&mut self, members: impl Iterator<Item = &'a Member>, now: Now) -> bool {
        let mut first = false;
        for member in members {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            let (State::Checking { candidate, touched } | State::Acting { candidate, touched }) =
                entry.state.clone()
            else {
                continue;
            };
            let before =
                entry.refused.take().filter(|(print, _)| *print == candidate).map_or(0, |(_, count)| count);
            first |= before == 0;
            entry.refused = Some((candidate, before + 1));
            let pause = RETRY_FIRST.saturating_mul(1 << before.min(16)).min(RETRY_LONGEST);
            entry.state = State::Refused { until: now + pause };
            if touched.is_some() {
                entry.touch(now);
            }
        }
        first
    }

    /// The service was (re)started by somebody else with this content.
    pub(crate) fn rebaseline(&mut self, rule: &str, print: Arc<Print>) {
        let Some(entry) = self.entries.get_mut(rule) else { return };
        entry.baseline = print;
        entry.refused = None;
        if matches!(entry.state, State::Refused { .. }) {
            entry.state = State::Quiet;
        }
    }

    /// Whether jobs may begin.
    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether nothing waits and nothing runs.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.entries.values().all(|e| matches!(e.state, State::Quiet | State::Refused { .. }))
    }
}

impl Entry {
    fn is_busy(&self) -> bool {
        matches!(self.state, State::Checking { .. } | State::Acting { .. })
    }

    /// An event: wait until the paths have been quiet for the debounce, but not for ever.
    fn touch(&mut self, now: Now) {
        let debounce = self.rule.debounce;
        match &mut self.state {
            State::Checking { touched, .. } | State::Acting { touched, .. } => _ = touched.get_or_insert(now),
            State::Pending { since, until } => {
                let limit = UNSETTLED.0.max(debounce.saturating_mul(UNSETTLED.1));
                *until = (now + debounce).min(*since + limit);
            }
            State::Quiet | State::Refused { .. } => {
                self.state = State::Pending { since: now, until: now + debounce }
            }
        }
    }

    /// After a job: what happened meanwhile is looked at in its turn.
    fn wait_again(&mut self, touched: Option<Now>, now: Now) {
        self.state = match touched {
            Some(since) => State::Pending { since, until: now + self.rule.debounce },
            None => State::Quiet,
        };
    }

    /// The failure that stands, by the number of times.
    pub(crate) fn failing(&self) -> bool {
        self.refused.is_some()
    }
}

/// The first path at which two moments differ.
pub(crate) fn difference(old: &Print, new: &Print) -> Option<(PathBuf, Cause)> {
    let gone = old.keys().find(|path| !new.contains_key(*path)).map(|path| (path.clone(), Cause::Removed));
    let other = new.iter().find_map(|(path, mark)| match old.get(path) {
        None => Some((path.clone(), Cause::Created)),
        Some(before) if before != mark => Some((path.clone(), Cause::Changed)),
        Some(_) => None,
    });
    other.or(gone)
}

/// Gather rules by action. A restart reads what a reload would.
fn acts(changed: Vec<(Rule, Member)>) -> Vec<Act> {
    let restarts = changed.iter().any(|(rule, _)| rule.action == Action::Restart);
    let mut acts: Vec<Act> = Vec::new();
    for (rule, member) in changed {
        let action = if restarts && rule.action == Action::Reload { Action::Restart } else { rule.action };
        match acts.iter_mut().find(|act| act.action == action) {
            Some(act) => act.members.push(member),
            None => acts.push(Act { action, members: vec![member] }),
        }
    }
    acts.sort_by_key(|act| match act.action {
        Action::Restart => 0,
        Action::Reload => 1,
        Action::Signal(_) => 2,
        Action::Run(_) => 3,
    });
    acts
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
