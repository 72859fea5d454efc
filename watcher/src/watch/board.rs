//! The decisions: which rule waits, is checked or acted on, and what follows. Pure; time is an argument.
//!
//! ```text
//! Quiet ──event──▶ Pending ──quiet long enough, content differs──▶ Checking ──passes──▶ Acting ──done──▶ Quiet
//!   ▲                 │ ▲                                             │ fails              │ fails
//!   └──same content───┘ └───────────────── event ◀── Refused ◀────────┴────────────────────┘
//! ```
//! A refused change is tried again later, with growing pauses, and at once on the next event. A change beyond the rule's
//! rate is Held until there is room. An edit that its keeper is to put back holds the service's rules as Edited.

use super::entry::{Entry, State};
use super::survey::Print;
use crate::rule::{Action, OnEdit, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time since some start; the caller's clock.
pub(crate) type Now = Duration;

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

/// Kept paths that somebody else than their keeper has changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edit {
    pub(crate) service: String,
    pub(crate) rule: String,
    pub(crate) paths: Vec<PathBuf>,
    /// They are to be put back.
    pub(crate) revert: bool,
}

/// A change that waits for room in its rule's rate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) service: String,
    pub(crate) member: Member,
    pub(crate) until: Now,
}

/// What follows from a look at a service's files.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Decision {
    pub(crate) job: Option<Job>,
    /// To be told.
    pub(crate) edits: Vec<Edit>,
    /// To be told.
    pub(crate) held: Vec<Held>,
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) entries: BTreeMap<String, Entry>,
    paused: bool,
    /// How long a service that was started may be reading its files.
    reading: Duration,
}

impl Board {
    /// Without rules, for services that may be reading their files for this long after a start.
    pub(crate) fn new(reading: Duration) -> Self {
        Self { reading, ..Self::default() }
    }

    /// Put a rule on the board, with the content that counts as known. One of the same name makes place, and what it
    /// knew of the paths that both have goes on to count.
    pub(crate) fn insert(&mut self, rule: Rule, baseline: Print, now: Now) {
        let mut entry = Entry::new(rule, baseline);
        if let Some(old) = self.entries.remove(&entry.rule.name) {
            entry = entry.instead_of(old);
            entry.touch(now);
        }
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

    /// The content of the rule's paths was another since, if only for a moment.
    pub(crate) fn altered(&mut self, rule: &str, now: Now) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.reading.altered(now);
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
        let retry = of_service().filter_map(|e| match e.state {
            State::Refused { until } | State::Held { until } | State::Edited { until } => Some(until),
            _ => None,
        });
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

    /// The checks of all its rules, each once.
    pub(crate) fn checks_of(&self, service: &str) -> Vec<Vec<String>> {
        let rules = self.entries.values().map(|entry| &entry.rule).filter(|rule| rule.service == service);
        let checks: BTreeSet<&Vec<String>> = rules.filter_map(|rule| rule.check.as_ref()).collect();
        checks.into_iter().cloned().collect()
    }

    /// The content of a service's files is this: what is to be done? Rules without a change become quiet.
    pub(crate) fn decide(
        &mut self,
        service: &str,
        prints: &BTreeMap<String, Arc<Print>>,
        now: Now,
    ) -> Decision {
        let mut decision = Decision::default();
        let mut changed = Vec::new();
        for (name, entry) in self.entries.iter_mut().filter(|(_, e)| e.rule.service == service) {
            let Some(print) = prints.get(name) else { continue };
            decision.edits.extend(entry.find_edits(print, now).map(|paths| Edit {
                service: service.to_owned(),
                rule: name.clone(),
                paths,
                revert: entry.rule.on_edit == OnEdit::Revert,
            }));
            let change = entry.change(print);
            entry.rest_unless(change.is_some());
            changed.extend(change.map(|(path, cause)| Member { rule: name.clone(), path, cause }));
        }
        if self.awaits_revert(service) {
            return decision;
        }
        let (ready, held) = self.within_rates(changed, now);
        decision.held = held;
        decision.job = self.job(service, &ready, prints);
        decision
    }

    /// As long as an edit of one of the service's rules is to be put back, nothing is done to it: it would run with the
    /// edit.
    fn awaits_revert(&mut self, service: &str) -> bool {
        let of_service = || self.entries.values().filter(|e| e.rule.service == service);
        let Some(until) = of_service().filter_map(Entry::awaits_revert).min() else { return false };
        let entries = self.entries.values_mut().filter(|e| e.rule.service == service);
        entries.for_each(|entry| entry.state = State::Edited { until });
        true
    }

    /// Those that may act now, and those that are to be told that they may not. A restart that comes anyway serves the
    /// others too.
    fn within_rates(&mut self, changed: Vec<Member>, now: Now) -> (Vec<Member>, Vec<Held>) {
        let until = |member: &Member| self.entries.get(&member.rule).and_then(|e| e.held_until(now));
        let action = |member: &Member| self.entries.get(&member.rule).map(|e| e.rule.action.clone());
        let (mut ready, over): (Vec<Member>, Vec<Member>) =
            changed.into_iter().partition(|member| until(member).is_none());
        let coming: Vec<_> = ready.iter().filter_map(action).collect();
        let served = |member: &Member| {
            action(member).is_some_and(|action| {
                coming.contains(&action) || (action == Action::Reload && coming.contains(&Action::Restart))
            })
        };
        let (served, over): (Vec<Member>, Vec<Member>) = over.into_iter().partition(served);
        ready.extend(served);
        let mut held = Vec::new();
        for member in over {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            let Some(until) = entry.held_until(now) else { continue };
            entry.state = State::Held { until };
            if !std::mem::replace(&mut entry.holding, true) {
                held.push(Held { service: entry.rule.service.clone(), member, until });
            }
        }
        (ready, held)
    }

    fn job(&mut self, service: &str, ready: &[Member], prints: &BTreeMap<String, Arc<Print>>) -> Option<Job> {
        let mut changed = Vec::new();
        for member in ready {
            let Some((entry, print)) = self.entries.get_mut(&member.rule).zip(prints.get(&member.rule))
            else {
                continue;
            };
            entry.state = State::Checking { candidate: print.clone(), touched: None };
            changed.push((entry.rule.clone(), member.clone()));
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
        let same = job.rules().all(|member| match self.entries.get(&member.rule).map(|e| (&e.state, e)) {
            Some((State::Checking { candidate, .. }, entry)) => {
                let wanted = |print| entry.reading.is_unsure() || print != &entry.baseline;
                prints.get(&member.rule).is_none_or(|print| print == candidate && wanted(print))
            }
            _ => true,
        });
        for member in job.rules() {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            let State::Checking { candidate, touched } = entry.state.clone() else { continue };
            if same {
                entry.reading.begins(candidate == entry.baseline);
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
                entry.runs_with(candidate);
                entry.started(now, self.reading);
                entry.count(now);
                entry.wait_again(touched, now);
            }
        }
    }

    /// A check or an action failed for these rules. True when this content failed for the first time.
    pub(crate) fn refused<'a>(&mut self, members: impl Iterator<Item = &'a Member>, now: Now) -> bool {
        let mut first = false;
        for member in members {
            let Some(entry) = self.entries.get_mut(&member.rule) else { continue };
            let (candidate, touched) = match entry.state.clone() {
                State::Checking { candidate, touched } => (candidate, touched),
                State::Acting { candidate, touched } => {
                    // Tried is done, as far as the service is concerned.
                    entry.count(now);
                    entry.reading.failed();
                    (candidate, touched)
                }
                _ => continue,
            };
            first |= entry.refuse(candidate, now);
            if touched.is_some() {
                entry.touch(now);
            }
        }
        first
    }

    /// Somebody else is about to (re)start the service, with what its files hold now.
    pub(crate) fn begins(&mut self, rule: &str) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.reading.begins(false);
        }
    }

    /// The service was (re)started by somebody else with this content.
    pub(crate) fn rebaseline(&mut self, rule: &str, print: Arc<Print>, now: Now) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.runs_with(print);
            entry.started(now, self.reading);
        }
    }

    /// Somebody else's (re)start of the service failed.
    pub(crate) fn failed(&mut self, rule: &str) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.reading.failed();
        }
    }

    /// The keeper of a path has left this there and below.
    pub(crate) fn approve(&mut self, rule: &str, path: &Path, marks: Print, now: Now) {
        if let Some(entry) = self.entries.get_mut(rule) {
            entry.approve(path, marks, now);
        }
    }

    /// Whether jobs may begin.
    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether nothing waits and nothing runs.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.entries
            .values()
            .all(|e| matches!(e.state, State::Quiet | State::Refused { .. } | State::Held { .. }))
    }
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
