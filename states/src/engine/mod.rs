//! The walk over a low state: requisites, conditions, observe, diff, apply, one step after the other.
//!
//! [`run`] takes the steps in their order. Before a step its requisites are run if they have not been (a compiled low
//! state is already sorted so that they have), then [`requisites`] judges their outcomes, [`conditions`] asks `onlyif`,
//! `unless` and `creates`, and the state function itself is performed (see [`step`]). Steps that say `parallel` run beside the
//! walk ([`beside`]); whoever depends on one waits for it. `listen` is honoured at the end.

mod ahead;
mod beside;
mod carry;
pub(crate) mod conditions;
pub(crate) mod requisites;
pub(crate) mod retry;
pub(crate) mod step;
mod template;
mod told;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::fsys;
use crate::host::Host;
use crate::low::{Chunk, LowState};
use crate::minion::Minion;
use crate::modules::file::accumulated::Accumulators;
use crate::modules::packages::Packages;
use crate::report::{KEPT_BACK, Outcome, Report, StepReport};
use crate::tree::Tree;
use crate::value::{Map, Value};
pub use template::{Jinja, Seen, with_jinja};

use ahead::{Ahead, Look, Lookout};
use beside::{Beside, Ended};
use carry::Shared;
use requisites::{Kind, Past, Requisites, Verdict};
use step::Return;
use told::{describe, empty, is_set, shown};

/// What templates of `file.managed` are rendered with.
pub struct TemplateRequest<'a> {
    /// The template's text.
    pub source: &'a str,
    /// Its path relative to the file root (or absolute when it is no file of the tree), for messages and `tplfile`.
    pub name: &'a str,
    /// The step that asks (`sls`, `saltenv`).
    pub chunk: &'a Chunk,
    /// `defaults` with `context` over them.
    pub context: &'a Map,
}

/// The template engine that the caller supplies; errors are sentences with file, line and column.
pub trait Render: Send + Sync {
    /// Render a Jinja template to text.
    fn template(&self, request: &TemplateRequest<'_>) -> Result<String, String>;
}

/// Everything around a run.
pub struct Context<'a> {
    /// Where `salt://` points.
    pub tree: &'a Tree,
    /// Who converges.
    pub minion: &'a Minion,
    /// The machine.
    pub host: &'a dyn Host,
    /// The template engine.
    pub render: &'a dyn Render,
}

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Say what would change, and change nothing (`--test`, Salt's `test=True`).
    pub test: bool,
    /// Stop at the first failed step.
    pub failhard: bool,
}

/// Told about each step as it goes by.
pub trait Observer {
    /// The step with number `n` of `total` (from 0) begins.
    fn on_step_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
        let _ = (n, total, chunk);
    }
    /// A step has ended.
    fn on_step_end(&mut self, step: &StepReport, total: usize) {
        let _ = (step, total);
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// What was learnt in this run and holds for its other steps.
#[derive(Default)]
pub(crate) struct Facts {
    /// The package database, until something changes it.
    pub(crate) packages: RefCell<Option<Rc<Packages>>>,
    /// Whether the package lists were fetched in this run.
    pub(crate) refreshed: Cell<bool>,
    /// Directories of the tree with their links resolved; no step changes the tree.
    resolved: RefCell<HashMap<PathBuf, Rc<Path>>>,
    /// Directories of the machine to which nobody but root can change the way.
    pub(crate) safe_ways: RefCell<HashSet<PathBuf>>,
    /// Python packages by environment, until something changes them.
    pub(crate) pip: RefCell<crate::modules::pip_env::Lists>,
    /// Packages of gem and npm, until something changes them.
    pub(crate) listed: RefCell<crate::modules::listed::Lists>,
    /// What `file.accumulated` has gathered for later steps.
    pub(crate) accumulators: RefCell<Accumulators>,
    /// How many plans were carried out.
    pub(crate) effects: Cell<usize>,
    /// Variables that `environ.setenv` has set for commands; `None` takes one away.
    pub(crate) environment: RefCell<std::collections::BTreeMap<String, Option<String>>>,
}

impl Facts {
    /// A directory of the tree with its links resolved.
    pub(crate) fn real(&self, directory: &Path) -> fsys::Result<Rc<Path>> {
        if let Some(real) = self.resolved.borrow().get(directory) {
            return Ok(real.clone());
        }
        let real: Rc<Path> = fsys::canonical(directory)?.into();
        self.resolved.borrow_mut().insert(directory.to_owned(), real.clone());
        Ok(real)
    }
}

/// Walk `low` and report. Errors of steps are in the report; nothing here fails as a whole.
pub fn run(low: &LowState, context: &Context<'_>, options: Options, observer: &mut dyn Observer) -> Report {
    let total = low.chunks.len();
    let requisites: Vec<Requisites> = (0..total).map(|i| Requisites::resolve(low, i)).collect();
    let shared = Shared { low, context };
    let ahead = Ahead::new(shared);
    std::thread::scope(|scope| {
        let mut run = Run {
            shared,
            lookout: Lookout::new(scope, &ahead),
            options,
            observer,
            facts: Facts::default(),
            beside: Beside::new(scope),
            before: before(&requisites),
            requisites,
            done: vec![None; total],
            rehearsed: vec![None; total],
            visiting: vec![false; total],
            report: Report::default(),
        };
        for i in 0..total {
            run.visit(i);
        }
        run.settle_all();
        run.listen();
        run.tell_what_is_left();
        run.report
    })
}

/// By step: those that have it as their `prereq`.
fn before(requisites: &[Requisites]) -> Vec<Vec<usize>> {
    let mut before = vec![Vec::new(); requisites.len()];
    for (i, own) in requisites.iter().enumerate() {
        for target in own.targets(Kind::Prereq) {
            before[target].push(i);
        }
    }
    before
}

/// What a dry run for a `prereq` said.
#[derive(Clone)]
struct Rehearsal {
    ret: Return,
    ran: bool,
}

impl Rehearsal {
    fn past(&self) -> Past {
        Past::new(self.ret.outcome, &self.ret.changes, self.ran)
    }
}

struct Run<'s, 'e, 'o> {
    shared: Shared<'e>,
    options: Options,
    observer: &'o mut dyn Observer,
    facts: Facts,
    lookout: Lookout<'s, 'e>,
    /// Steps that have begun and are not over.
    beside: Beside<'s, 'e>,
    requisites: Vec<Requisites>,
    /// By chunk: the steps that have it as their `prereq`.
    before: Vec<Vec<usize>>,
    /// By chunk: its place in the report.
    done: Vec<Option<usize>>,
    /// By chunk: what a dry run for a `prereq` said.
    rehearsed: Vec<Option<Rehearsal>>,
    visiting: Vec<bool>,
    report: Report,
}

impl<'e> Run<'_, 'e, '_> {
    fn chunk(&self, i: usize) -> &'e Chunk {
        self.shared.chunk(i)
    }

    fn total(&self) -> usize {
        self.done.len()
    }

    /// Run step `i` after what it needs, unless it has run or the run is over.
    fn visit(&mut self, i: usize) {
        if self.done[i].is_some() || self.visiting[i] || self.is_over() {
            return;
        }
        self.visiting[i] = true;
        self.visit_needs(i);
        for target in self.requisites[i].targets(Kind::Prereq) {
            self.rehearse(target);
        }
        self.visiting[i] = false;
        if !self.is_over() {
            self.take(i);
        }
    }

    /// Run what step `i` depends on, and the steps that want to come before it (`prereq`), to their ends.
    fn visit_needs(&mut self, i: usize) {
        let needs = [self.requisites[i].needs(), self.before[i].clone()].concat();
        for need in &needs {
            self.visit(*need);
        }
        for need in needs {
            self.settle(need);
        }
    }

    fn is_over(&mut self) -> bool {
        if self.report.stopped.is_none() && self.shared.context.host.cancelled() {
            self.report.stopped = Some("the run was cancelled".to_owned());
        }
        self.report.stopped.is_some()
    }

    /// Find out whether step `i` would change something, for those who come before it.
    fn rehearse(&mut self, i: usize) {
        if self.rehearsed[i].is_some() || self.visiting[i] || self.done[i].is_some() {
            return;
        }
        self.visiting[i] = true;
        for need in self.requisites[i].needs() {
            self.visit(need);
            self.settle(need);
        }
        for target in self.requisites[i].targets(Kind::Prereq) {
            self.rehearse(target);
        }
        self.visiting[i] = false;
        let (ret, ran) = match self.judge(i) {
            Verdict::Run => (self.call(i, true, false), true),
            Verdict::RunThenWatch => (self.call(i, true, true), true),
            Verdict::Fail(culprits) => (self.blocked(i, &culprits), false),
            Verdict::Skip(why) => (Return::ok(why), false),
        };
        self.rehearsed[i] = Some(Rehearsal { ret, ran });
    }

    fn judge(&self, i: usize) -> Verdict {
        let past = |kind: Kind, j: usize| match kind {
            Kind::Prereq => self.rehearsed[j].as_ref().map(Rehearsal::past).or_else(|| self.past(j)),
            _ => self.past(j),
        };
        match self.requisites[i].judge(&past) {
            fail @ Verdict::Fail(_) => fail,
            verdict => {
                // Whoever comes before this step because of a prereq must not have failed.
                let before = self.before[i].iter().copied();
                let failed: Vec<usize> = before.filter(|j| self.past(*j).is_some_and(Past::failed)).collect();
                if failed.is_empty() { verdict } else { Verdict::Fail(failed) }
            }
        }
    }

    fn past(&self, i: usize) -> Option<Past> {
        let step = self.report.steps.get(self.done[i]?)?;
        Some(Past::new(step.outcome, &step.changes, step.ran))
    }

    /// Judge, perform, record.
    fn take(&mut self, i: usize) {
        let (n, total) = (self.report.steps.len(), self.total());
        let chunk = self.chunk(i);
        self.tell_start(n, total, chunk);
        let started = self.shared.context.host.now();
        let verdict = self.judge(i);
        self.done[i] = Some(n);
        let watch = verdict == Verdict::RunThenWatch;
        let (ret, ran) = match verdict {
            Verdict::Run | Verdict::RunThenWatch if self.may_run_beside(chunk) => {
                self.report.steps.push(empty(chunk, n, started));
                self.lookout.something_happened(i);
                return self.beside.start(i, self.shared, &self.facts, watch);
            }
            Verdict::Run | Verdict::RunThenWatch => match self.seen(i, watch) {
                Some(look) => {
                    self.report.steps.push(empty(chunk, n, look.started));
                    return self.record(i, n, Ended { ret: look.ret, ended: look.ended }, true);
                }
                None => (self.call(i, self.options.test, watch), true),
            },
            Verdict::Skip(why) => (Return::ok(why), false),
            Verdict::Fail(culprits) => self.kept_back(i, &culprits),
        };
        self.report.steps.push(empty(chunk, n, started));
        self.record(i, n, Ended { ret, ended: self.shared.context.host.now() }, ran);
    }

    /// A rehearsal takes one step after the other: there is nothing to be gained.
    fn may_run_beside(&self, chunk: &Chunk) -> bool {
        !self.options.test && is_set(chunk, "parallel") && beside::is_independent(chunk)
    }

    /// Wait for step `i`, where it still runs.
    fn settle(&mut self, i: usize) {
        if let (Some(n), Some(ended)) = (self.done[i], self.beside.wait(i)) {
            self.lookout.something_happened(i);
            self.record(i, n, ended, true);
        }
    }

    fn settle_all(&mut self) {
        (0..self.total()).for_each(|i| self.settle(i));
    }

    /// What came of step `i`, into its place in the report.
    fn record(&mut self, i: usize, n: usize, ended: Ended, ran: bool) {
        let chunk = self.chunk(i);
        let ret = if is_set(chunk, "no_log") { ended.ret.hidden() } else { ended.ret };
        self.fill(n, ret, ended.ended, ran);
        self.stop_if_hard(chunk, n);
    }

    fn stop_if_hard(&mut self, chunk: &Chunk, n: usize) {
        let asked = chunk.arg("failhard").and_then(Value::as_bool).unwrap_or(self.options.failhard);
        let failed = self.report.steps.get(n).is_some_and(|s| s.outcome == Outcome::Failed);
        if asked && failed && !self.options.test && self.report.stopped.is_none() {
            self.report.stopped =
                Some(format!("{} failed, and failhard is set", describe(self.shared.low, chunk)));
        }
    }

    /// The return of a step that cannot be run, and whether its function ran. One that was rehearsed and would have
    /// changed nothing, or failed, has told all that there is to say.
    fn kept_back(&self, i: usize, culprits: &[usize]) -> (Return, bool) {
        match &self.rehearsed[i] {
            Some(rehearsal) if rehearsal.ran && rehearsal.ret.outcome != Outcome::WouldChange => {
                (rehearsal.ret.clone(), true)
            }
            _ => (self.blocked(i, culprits), false),
        }
    }

    fn blocked(&self, i: usize, culprits: &[usize]) -> Return {
        let missing = &self.requisites[i].missing;
        if !missing.is_empty() {
            return Return::failed(format!("Requisites that name no state: {}", missing.join(", ")));
        }
        let circular: Vec<&usize> = culprits.iter().filter(|j| self.past(**j).is_none()).collect();
        let names = |list: Vec<&usize>| {
            list.into_iter().map(|j| describe(self.shared.low, self.chunk(*j))).collect::<Vec<_>>().join(", ")
        };
        if !circular.is_empty() && self.requisites[i].targets(Kind::Prereq).is_empty() {
            return Return::failed(format!(
                "The requisites go round in a circle by way of {}",
                names(circular)
            ));
        }
        Return::failed(format!("{KEPT_BACK}: {}", names(culprits.iter().collect())))
    }

    fn call(&mut self, i: usize, test: bool, watch: bool) -> Return {
        let before = self.facts.effects.get();
        let ret = self.shared.carry_out(i, &self.facts, test, watch);
        if before == self.facts.effects.get() && !watch && ahead::only_looks(self.chunk(i)) {
            self.lookout.nothing_happened();
        } else {
            self.lookout.something_happened(i);
        }
        self.soften(ret, test)
    }

    /// A step that was looked at before its turn, and needs nothing.
    fn seen(&mut self, i: usize, watch: bool) -> Option<Look> {
        if watch || !self.beside.is_idle() {
            return None;
        }
        self.lookout.seen(i, &self.facts)
    }

    /// In test mode a machine that is not ready may be made so by steps that were only rehearsed.
    fn soften(&self, ret: Return, test: bool) -> Return {
        if !(test && ret.lacking && ret.outcome == Outcome::Failed) {
            return ret;
        }
        match self.report.steps.iter().rfind(|s| s.outcome == Outcome::WouldChange) {
            Some(step) => {
                let comment =
                    format!("Unknown until `{}` ({}) is applied: {}", step.id, step.origin, ret.comment);
                Return { outcome: Outcome::WouldChange, comment, ..ret }
            }
            None => ret,
        }
    }

    fn fill(&mut self, n: usize, ret: Return, ended: f64, ran: bool) {
        let Some(step) = self.report.steps.get_mut(n) else { return };
        step.outcome = ret.outcome;
        step.changes = ret.changes;
        step.comment = ret.comment;
        step.warnings = ret.warnings;
        step.ran = ran;
        if step.is_news() {
            // Only what is told needs the line of the file as it is written: to find it takes a comparison.
            step.origin = self.shared.low.lines.origin(&step.origin);
        }
        step.duration_ms = ((ended - step.started) * 1e6).round().max(0.0) / 1e3;
        self.shared.low.secrets.hide_in_step(step);
        self.observer.on_step_end(step, self.done.len());
    }

    fn tell_start(&mut self, n: usize, total: usize, chunk: &Chunk) {
        self.observer.on_step_start(n, total, &self.shared.low.secrets.hide_in_chunk(shown(chunk)));
    }

    /// At the end: mod_watch of each step that listens to one that changed, once each. After `failhard` too: what has
    /// changed will not change again in the next run.
    fn listen(&mut self) {
        let mut heard = vec![false; self.total()];
        for (i, targets) in self.listeners() {
            let changed = targets.iter().any(|t| self.past(*t).is_some_and(|p| p.changed));
            if changed && !heard[i] && !self.shared.context.host.cancelled() {
                heard[i] = true;
                self.hear(i);
            }
        }
        // Cancelled meanwhile?
        self.is_over();
    }

    /// Who listens to whom, in Salt's order: a step that says `listen` in its own place, and one to which another says
    /// `listen_in` in that one's.
    fn listeners(&self) -> Vec<(usize, Vec<usize>)> {
        let mut told = vec![Vec::new(); self.total()];
        for (i, own) in self.requisites.iter().enumerate() {
            own.targets(Kind::ListenIn).into_iter().for_each(|target| told[target].push(i));
        }
        let mut all = Vec::new();
        for (i, own) in self.requisites.iter().enumerate() {
            all.push((i, own.targets(Kind::Listen)));
            all.extend(told[i].iter().map(|listener| (*listener, vec![i])));
        }
        all
    }

    fn hear(&mut self, i: usize) {
        let chunk = self.chunk(i);
        if !carry::can_react(chunk) {
            return;
        }
        let listener =
            Chunk { id: format!("listener_{}", chunk.id), fun: "mod_watch".to_owned(), ..chunk.clone() };
        let n = self.report.steps.len();
        self.tell_start(n, self.total(), &listener);
        let started = self.shared.context.host.now();
        let ret = carry::hear(&self.shared.of(i, &self.facts, self.options.test));
        self.lookout.something_happened(i);
        let ret = self.soften(ret, self.options.test);
        let ret = if is_set(chunk, "no_log") { ret.hidden() } else { ret };
        self.report.steps.push(empty(&listener, n, started));
        self.fill(n, ret, self.shared.context.host.now(), true);
        self.stop_if_hard(chunk, n);
    }

    /// What was not run because the run was stopped.
    fn tell_what_is_left(&mut self) {
        if self.report.stopped.is_some() {
            let left = (0..self.total()).filter(|i| self.done[*i].is_none());
            let secrets = &self.shared.low.secrets;
            let told = |i| secrets.hide(&describe(self.shared.low, self.chunk(i))).into_owned();
            self.report.left = left.map(told).collect();
            self.report.stopped = self.report.stopped.take().map(|why| secrets.hide(&why).into_owned());
        }
    }
}
