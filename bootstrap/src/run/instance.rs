//! An instance with a role: gets trees, converges them, keeps the watcher's rules in line, and answers for the result.
// Effects: the clock, the state directory, and everything that a converge does.
#![allow(clippy::disallowed_methods)]

mod announce;
mod asking;
mod drift;
mod ends;
mod hearer;
mod put_back;
mod words;

use super::backoff::Away;
use super::board::epoch;
use super::console::say;
use super::phase::short;
use super::pin::Pin;
use super::status::{Converge as Summary, FailedStep, Formula, Remote, Restart};
use super::watches;
use super::{Error, Resident, Stopped};
use crate::aws::Vault;
use crate::converge::Converge;
use crate::fetch::{Fetched, Link, Trees};
use crate::identity;
use crate::imds::Identity;
use crate::services::SupervisedServices;
use crate::supervise;
use crate::userdata::{Finish, UserData, WatchRule, default_splay, odd_in_pillar, rules_of, splay_of};
use crate::web::{Environment, Web};
use announce::{Announce, describe, failed_line, function_of, ready_line};
use asking::Trouble;
use hearer::Hearer;
use mayfly_states::engine::Options;
use mayfly_states::fsys::lock::ConvergeLock;
use mayfly_states::grains::facts::Facts;
use mayfly_states::host::Machine;
use mayfly_states::low::LowState;
use mayfly_states::report::Report;
use mayfly_states::tree::{Roots, Tree};
use mayfly_watcher::supervisor::{Status, Supervisor};
use mayfly_watcher::watch::Watcher;
use put_back::Approve;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A failed converge of an unchanged commit is tried again, first after this long.
const RETRY_FIRST: Duration = Duration::from_secs(10);
const RETRY_LONGEST: Duration = Duration::from_secs(600);
const LOCK_LOOK: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Instance<'r> {
    resident: &'r Resident,
    user: UserData,
    identity: Identity,
    trees: Trees,
    pin: Pin,
    supervisor: Arc<dyn Supervisor>,
    services: Arc<SupervisedServices>,
    watcher: Arc<Watcher>,
    hearer: Arc<Hearer>,
    splay: Duration,
    /// Failed converges in a row, and when to try again.
    failed: Option<(u32, Instant)>,
    trouble: Option<Trouble>,
    away: Away,
    /// When the remote is asked again, and when drift is looked for.
    tick_at: Option<Instant>,
    drift_at: Option<Instant>,
}

impl<'r> Instance<'r> {
    /// Sets up what a role needs; nothing is contacted yet.
    pub(super) fn new(resident: &'r Resident, user: UserData, identity: Identity) -> Result<Self, Error> {
        let state_dir = &resident.settings.state_dir;
        let vault = Vault::new(&resident.settings.imds, Environment::read(), resident.cancel.clone());
        let trees = Trees::open(state_dir, &user.states, &Arc::new(vault), &resident.cancel)
            .map_err(|source| Error::Disk { path: state_dir.clone(), source })?;
        let hearer = Arc::new(Hearer::new(resident));
        let supervisor = supervise::heard_by(hearer.clone(), user.supervisor, resident.root());
        let watcher =
            Watcher::start(supervisor.clone(), hearer.clone()).map_err(|e| Error::Services(e.to_string()))?;
        let services = Arc::new(SupervisedServices::new(watcher.supervisor()));
        let splay = user.splay.unwrap_or_else(|| default_splay(&user.schedule, chrono::Utc::now()));
        let instance = Self {
            trees,
            pin: Pin::load(state_dir, &identity.instance_id, &user.states),
            splay: splay_of(&identity.instance_id, splay),
            failed: None,
            trouble: None,
            away: Away::default(),
            tick_at: None,
            drift_at: None,
            resident,
            user,
            identity,
            supervisor,
            services,
            watcher: Arc::new(watcher),
            hearer,
        };
        instance.introduce();
        Ok(instance)
    }

    fn introduce(&self) {
        let id = identity::minion_id(&self.user, &self.identity);
        say(format!("{id}: role {}, environment {}", self.user.role, self.user.environment));
        let uptime = self.resident.board.uptime();
        let good = self.good_commit();
        self.resident.board.step(super::phase::Phase::identified, |status| {
            status.id = id;
            status.good = good;
            status.instance_id.clone_from(&self.identity.instance_id);
            status.role.clone_from(&self.user.role);
            status.environment.clone_from(&self.user.environment);
            status.deployment.clone_from(&self.user.deployment);
            status.remote = Remote {
                url: self.user.states.remote.url(),
                reference: self.user.states.reference.clone(),
                ..Remote::default()
            };
            status.boot.identified_after = Some(uptime);
        });
        self.resident.board.ask(self.supervisor.clone(), self.watcher.clone());
    }

    /// What to do after the first converge.
    pub(super) fn finish(&self) -> Finish {
        self.user.finish
    }

    /// Whether the last converge succeeded.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.resident.board.phase(), super::phase::Phase::Ready { .. })
    }

    /// The commit that was last applied without a failure.
    pub(super) fn good_commit(&self) -> Option<String> {
        self.trees.kept(Link::Good).map(|good| good.commit)
    }

    /// Gets the first tree, however long that takes, and converges it.
    pub(super) fn boot(&mut self) -> Result<(), Stopped> {
        let fetched = self.first_tree()?;
        let uptime = self.resident.board.uptime();
        self.resident.board.note(|status| status.boot.fetched_after = Some(uptime));
        self.converge(&fetched)?;
        self.stand_by(&fetched.commit)
    }

    /// A machine that booted into a tree that cannot be compiled would serve nothing: its services come from the last
    /// good tree meanwhile. What was asked for has failed all the same, and that is what `/ready` goes on saying.
    fn stand_by(&mut self, wanted: &str) -> Result<(), Stopped> {
        let uncompiled = self.resident.board.snapshot().converge.is_some_and(|last| last.error.is_some());
        let good = self.trees.kept(Link::Good).filter(|good| uncompiled && good.commit != wanted);
        let Some(good) = good else { return Ok(()) };
        say(format!(
            "{} cannot be used: running what the last good tree {} says",
            short(wanted),
            short(&good.commit)
        ));
        let _lock = self.lock()?;
        match self.apply(&good) {
            Ok(_) => self.note_restarts(&good.commit),
            Err(error) => {
                say(format!("nor can {}: {}", short(&good.commit), error.lines().next().unwrap_or_default()));
            }
        }
        if self.resident.cancel.is_set() { Err(Stopped) } else { Ok(()) }
    }

    /// Applies a tree; how it ends is on the board.
    fn converge(&mut self, fetched: &Fetched) -> Result<(), Stopped> {
        let _lock = self.lock()?;
        say(format!("converging {}", short(&fetched.commit)));
        for note in &fetched.notes {
            say(format!("note: {note}"));
        }
        let (commit, started, clock) = (fetched.commit.clone(), epoch(), Instant::now());
        self.resident.board.step(
            |p| p.tree(&commit),
            |status| {
                status.commit = Some(commit.clone());
                (status.next_tick, status.retry_at) = (None, None);
                status.formulas = fetched.formulas.iter().map(Formula::of).collect();
            },
        );
        let linked = self.trees.flip(Link::Current, fetched).map_err(|e| e.to_string());
        let ended = linked.and_then(|()| self.apply(fetched));
        let mut summary = Summary {
            commit,
            started,
            duration_ms: clock.elapsed().as_secs_f64() * 1000.0,
            notes: fetched.notes.clone(),
            ..Summary::default()
        };
        let failure = match ended {
            Ok(report) => {
                self.note_restarts(&summary.commit);
                describe(&report, &mut summary)
            }
            Err(error) => {
                summary.error = Some(error.clone());
                Some(error)
            }
        };
        if self.resident.cancel.is_set() {
            return Err(Stopped);
        }
        self.conclude(fetched, summary, failure);
        Ok(())
    }

    fn conclude(&mut self, fetched: &Fetched, mut summary: Summary, failure: Option<String>) {
        summary.ok = failure.is_none();
        let commit = summary.commit.clone();
        match &failure {
            None => {
                self.failed = None;
                self.pin.converged(&self.user.states, &commit);
                self.said(self.trees.flip(Link::Good, fetched));
            }
            Some(_) => {
                let attempt = self.failed.map_or(0, |(n, _)| n + 1);
                let pause = super::backoff::pause(attempt, RETRY_FIRST, RETRY_LONGEST, rand::random());
                self.failed = Some((attempt, Instant::now() + pause));
            }
        }
        self.said(self.trees.prune());
        let good = self.good_commit();
        let retry_at = self.retry_at();
        let uptime = self.resident.board.uptime();
        let line = match &failure {
            None => ready_line(&summary, uptime),
            Some(reason) => failed_line(reason),
        };
        self.resident.board.step(
            |p| p.converged(failure),
            |status| {
                let counter = if summary.ok {
                    &mut status.totals.converges_ok
                } else {
                    &mut status.totals.converges_failed
                };
                *counter += 1;
                (status.good, status.retry_at) = (good, retry_at);
                if summary.ok {
                    // What was done by hand is undone.
                    status.drift = status.drift.take().map(super::status::Drift::mended);
                    status.boot.ready_after.get_or_insert(uptime);
                }
                status.converge = Some(summary);
            },
        );
        say(line);
    }

    fn said(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            say(format!("state directory: {error}"));
        }
    }

    /// Compiles, arms the rules, and walks the steps while the watcher holds its hand. The error is for people.
    fn apply(&mut self, fetched: &Fetched) -> Result<Report, String> {
        let (converge, low) = self.compiled(fetched)?;
        self.hearer.hides(&low.secrets);
        warn(&low.warnings);
        warn(&odd_in_pillar(&low.pillar));
        let declared = self.declared(&low)?;
        warn(&watches::idle(&low, &declared));
        let rules = watches::rules(&low, &declared, self.resident.root());
        let approve = Approve::new(&self.watcher, &rules, self.resident.root());
        let paused = self.watcher.pause();
        self.watcher.set_rules(rules).map_err(|e| e.to_string())?;
        self.resident.board.keep(&kept_services(&low));
        self.resident.board.note(|status| status.applied = Some(fetched.commit.clone()));
        self.services.take_touched();
        let mut announce = Announce::new(self, &low, approve);
        let report = converge.apply(&low, Options::default(), &mut announce);
        drop(announce);
        self.hearer.hides(&converge.secrets());
        drop(paused);
        self.warn_of(&declared);
        Ok(report)
    }

    /// What rules name and nobody knows, now that the converge has made what it makes.
    fn warn_of(&self, declared: &[WatchRule]) {
        let manager = self.supervisor.name();
        let is_unknown = |service: &str| matches!(self.supervisor.status(service), Ok(Status::Unknown));
        warn(&watches::of_unknown_services(declared, manager, is_unknown));
        warn(&watches::of_missing_programs(declared, mayfly_watcher::watch::finds));
    }

    /// A tree's steps for this instance, and what carries them out.
    fn compiled(&self, fetched: &Fetched) -> Result<(Converge, LowState), String> {
        let converge = self.prepared(fetched);
        let low = converge
            .compile(&[], &crate::converge::keeper(self.resident.root(), "run"))
            .map_err(|errors| errors.to_string())?;
        Ok((converge, low))
    }

    /// A tree, this machine as it is now, and who it is.
    fn prepared(&self, fetched: &Fetched) -> Converge {
        let root = self.resident.root();
        let cancel = &self.resident.cancel;
        let web = Web::new(&self.resident.settings.imds, Environment::read(), cancel.clone());
        let machine = Machine::new(self.services.clone())
            .with_root(root)
            .with_network(Arc::new(web))
            .with_cancel(cancel.flag());
        let facts = Facts::read(root);
        facts.complaints.iter().for_each(say);
        let minion = identity::minion(&facts, &self.user, &self.identity);
        Converge::new(self.tree(fetched), minion, Arc::new(machine))
    }

    /// The folders of the states and of pillar: those of the tree, then those of the formulas in their order.
    fn tree(&self, fetched: &Fetched) -> Tree {
        let below = |roots: &Roots, wanted: fn(&PathBuf) -> bool| -> Roots {
            let paths =
                |all: &[PathBuf]| all.iter().map(|path| fetched.path.join(path)).filter(wanted).collect();
            roots.iter().map(|(env, all)| (env.clone(), paths(all))).collect()
        };
        let states = &self.user.states;
        let mut file_roots = below(&states.file_roots, |_| true);
        let formulas = || fetched.formulas.iter().map(|formula| formula.root.clone());
        file_roots.values_mut().for_each(|roots: &mut Vec<PathBuf>| roots.extend(formulas()));
        Tree { file_roots, pillar_roots: below(&states.pillar_roots, |path| path.is_dir()) }
    }

    /// The rules of user-data, then those of the tree.
    fn declared(&self, low: &LowState) -> Result<Vec<WatchRule>, String> {
        Ok(self.user.watch.iter().cloned().chain(rules_of(low)?).collect())
    }

    /// The converge lock, waiting for whoever has it (`mayfly-boot apply`).
    fn lock(&self) -> Result<ConvergeLock, Stopped> {
        let path = self.resident.run_dir().join("converge.lock");
        let mut said = false;
        loop {
            match ConvergeLock::acquire(&path) {
                Ok(lock) => return Ok(lock),
                Err(error) if !said => {
                    say(format!("waiting: {error}"));
                    said = true;
                }
                Err(_) => {}
            }
            self.resident.wait_until(Some(Instant::now() + LOCK_LOOK))?;
        }
    }

    fn note_restarts(&self, commit: &str) {
        let touched = self.services.take_touched();
        self.resident.board.note(|status| {
            for (service, verb) in touched {
                let cause = format!("converge {}", short(commit));
                status.totals.converge_restarts += u64::from(verb != "start");
                status.add_restart(Restart {
                    at: epoch(),
                    service,
                    action: verb.to_owned(),
                    cause,
                    times: None,
                });
            }
        });
    }

    /// Stops watching, and leaves every service as it is for who comes after us.
    pub(super) fn leave(&mut self) {
        self.watcher.stop();
    }

    /// Stops watching and what lives and dies with this program.
    pub(super) fn shutdown(&mut self) {
        self.watcher.stop();
        if let Err(error) = self.supervisor.shutdown() {
            say(format!("stopping services: {error}"));
        }
    }
}

fn warn<T: std::fmt::Display>(sentences: &[T]) {
    sentences.iter().for_each(|sentence| say(format!("warning: {sentence}")));
}

/// The services that the states keep running.
fn kept_services(low: &LowState) -> Vec<String> {
    let running = low.chunks.iter().filter(|c| c.state == "service" && c.fun == "running");
    let mut names: Vec<String> = running.map(|c| c.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}
