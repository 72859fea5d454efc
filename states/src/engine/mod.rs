//! The walk over a low state: requisites, conditions, observe, diff, apply, one step after the other.
//!
//! [`run`] takes the steps in their order. Before a step its requisites are run if they have not been (a compiled low
//! state is already sorted so that they have), then [`requisites`] judges their outcomes, [`conditions`] asks `onlyif`,
//! `unless` and `creates`, and the state function itself is performed (see [`step`]). `listen` is honoured at the end.

pub(crate) mod conditions;
pub(crate) mod requisites;
pub(crate) mod retry;
pub(crate) mod step;
mod template;

use std::cell::{Cell, RefCell};

use crate::host::Host;
use crate::low::{Chunk, LowState};
use crate::minion::Minion;
use crate::modules;
use crate::modules::dpkg::Packages;
use crate::modules::file::accumulated::Accumulators;
use crate::report::{Outcome, Report, StepReport};
use crate::tree::Tree;
use crate::value::{Map, Value};
pub use template::Jinja;

use requisites::{Kind, Past, Requisites, Verdict};
use step::{Call, Return};

/// What templates of `file.managed` are rendered with.
pub struct TemplateRequest<'a> {
    /// The template's text.
    pub source: &'a str,
    /// Its path relative to the file root (or absolute when it is no file of the tree), for messages and `tplfile`.
    pub name: &'a str,
    /// The step that asks (`sls`, `saltenv`).
    pub chunk: &'a Chunk,
    /// The compiled pillar.
    pub pillar: &'a Map,
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
    pub(crate) packages: RefCell<Option<std::rc::Rc<Packages>>>,
    /// Whether the package lists were fetched in this run.
    pub(crate) refreshed: Cell<bool>,
    /// What `file.accumulated` has gathered for later steps.
    pub(crate) accumulators: RefCell<Accumulators>,
    /// Variables that `environ.setenv` has set for commands; `None` takes one away.
    pub(crate) environment: RefCell<std::collections::BTreeMap<String, Option<String>>>,
}

/// Walk `low` and report. Errors of steps are in the report; nothing here fails as a whole.
pub fn run(low: &LowState, context: &Context<'_>, options: Options, observer: &mut dyn Observer) -> Report {
    let total = low.chunks.len();
    let requisites: Vec<Requisites> = (0..total).map(|i| Requisites::resolve(low, i)).collect();
    let mut run = Run {
        low,
        context,
        options,
        observer,
        facts: Facts::default(),
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
    run.listen();
    run.report
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

struct Run<'a> {
    low: &'a LowState,
    context: &'a Context<'a>,
    options: Options,
    observer: &'a mut dyn Observer,
    facts: Facts,
    requisites: Vec<Requisites>,
    /// By chunk: the steps that have it as their `prereq`.
    before: Vec<Vec<usize>>,
    /// By chunk: its place in the report.
    done: Vec<Option<usize>>,
    /// By chunk: what a dry run for a `prereq` said.
    rehearsed: Vec<Option<Past>>,
    visiting: Vec<bool>,
    report: Report,
}

impl<'a> Run<'a> {
    fn chunk(&self, i: usize) -> &'a Chunk {
        // Indices come from this low state's own enumeration.
        &self.low.chunks[i]
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

    /// Run what step `i` depends on, and the steps that want to come before it (`prereq`).
    fn visit_needs(&mut self, i: usize) {
        let needs = [self.requisites[i].needs(), self.before[i].clone()].concat();
        for need in needs {
            self.visit(need);
        }
    }

    fn is_over(&mut self) -> bool {
        if self.report.stopped.is_none() && self.context.host.cancelled() {
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
        }
        for target in self.requisites[i].targets(Kind::Prereq) {
            self.rehearse(target);
        }
        self.visiting[i] = false;
        let rehearsal = |ret: Return| Past::new(ret.outcome, &ret.changes);
        let past = match self.judge(i) {
            Verdict::Run => rehearsal(self.call(i, true, false)),
            Verdict::RunThenWatch => rehearsal(self.call(i, true, true)),
            Verdict::Fail(_) => Past::new(Outcome::Failed, &Map::new()),
            Verdict::Skip(_) => Past::new(Outcome::Ok, &Map::new()),
        };
        self.rehearsed[i] = Some(past);
    }

    fn judge(&self, i: usize) -> Verdict {
        let past = |kind: Kind, j: usize| match kind {
            Kind::Prereq => self.rehearsed[j].or_else(|| self.past(j)),
            _ => self.past(j),
        };
        let mut verdict = self.requisites[i].judge(&past);
        // Whoever comes before this step because of a prereq must not have failed.
        if matches!(verdict, Verdict::Run | Verdict::RunThenWatch) {
            let before = self.before[i].iter().copied();
            let failed: Vec<usize> = before.filter(|j| self.past(*j).is_some_and(Past::failed)).collect();
            if !failed.is_empty() {
                verdict = Verdict::Fail(failed);
            }
        }
        verdict
    }

    fn past(&self, i: usize) -> Option<Past> {
        let step = self.report.steps.get(self.done[i]?)?;
        Some(Past::new(step.outcome, &step.changes))
    }

    /// Judge, perform, record.
    fn take(&mut self, i: usize) {
        let (n, total) = (self.report.steps.len(), self.low.chunks.len());
        let chunk = self.chunk(i);
        self.observer.on_step_start(n, total, chunk);
        let started = self.context.host.now();
        let (ret, ran) = match self.judge(i) {
            Verdict::Run => (self.call(i, self.options.test, false), true),
            Verdict::RunThenWatch => (self.call(i, self.options.test, true), true),
            Verdict::Skip(why) => (Return::ok(why), false),
            Verdict::Fail(culprits) => (self.blocked(i, &culprits), false),
        };
        let ret = if is_set(chunk, "no_log") { ret.hidden() } else { ret };
        self.record(chunk, chunk.tag(), ret, ran, started);
        self.done[i] = Some(n);
        self.stop_if_hard(chunk, n);
    }

    fn stop_if_hard(&mut self, chunk: &Chunk, n: usize) {
        let asked = chunk.arg("failhard").and_then(Value::as_bool).unwrap_or(self.options.failhard);
        let failed = self.report.steps.get(n).is_some_and(|s| s.outcome == Outcome::Failed);
        if asked && failed && !self.options.test {
            self.report.stopped = Some(format!("{} failed, and failhard is set", describe(chunk)));
        }
    }

    fn blocked(&self, i: usize, culprits: &[usize]) -> Return {
        let missing = &self.requisites[i].missing;
        if !missing.is_empty() {
            return Return::failed(format!("Requisites that name no state: {}", missing.join(", ")));
        }
        let circular: Vec<&usize> = culprits.iter().filter(|j| self.past(**j).is_none()).collect();
        let names = |list: Vec<&usize>| {
            list.into_iter().map(|j| describe(self.chunk(*j))).collect::<Vec<_>>().join(", ")
        };
        if !circular.is_empty() && self.requisites[i].targets(Kind::Prereq).is_empty() {
            return Return::failed(format!(
                "The requisites go round in a circle by way of {}",
                names(circular)
            ));
        }
        Return::failed(format!(
            "Not run, because what it requires has failed: {}",
            names(culprits.iter().collect())
        ))
    }

    /// Call the state function of step `i`, and its mod_watch when what it watches has changed and it did not change itself.
    fn call(&mut self, i: usize, test: bool, watch: bool) -> Return {
        let chunk = self.chunk(i);
        let Some(entry) = modules::find(&chunk.state, &chunk.fun) else {
            return Return::failed(modules::unknown(&chunk.state, &chunk.fun));
        };
        let call = Call { chunk, low: self.low, context: self.context, facts: &self.facts, test };
        let mut ret = retry::perform(&call, entry);
        ret.warnings.extend(modules::misspelt(entry, &chunk.args));
        if watch && still(entry, &ret) {
            ret = react(&call, entry, ret);
        }
        self.soften(ret, test)
    }

    /// In test mode a machine that is not ready may be made so by steps that were only rehearsed.
    fn soften(&self, ret: Return, test: bool) -> Return {
        let waiting = self.report.steps.iter().rfind(|s| s.outcome == Outcome::WouldChange);
        match waiting {
            Some(step) if test && ret.lacking && ret.outcome == Outcome::Failed => {
                let comment =
                    format!("Unknown until `{}` ({}) is applied: {}", step.id, step.origin, ret.comment);
                Return { outcome: Outcome::WouldChange, comment, ..ret }
            }
            _ => ret,
        }
    }

    fn record(&mut self, chunk: &Chunk, tag: String, ret: Return, ran: bool, started: f64) {
        let step = StepReport {
            tag,
            id: chunk.id.clone(),
            name: chunk.name.clone(),
            sls: chunk.sls.clone(),
            origin: chunk.origin.clone(),
            outcome: ret.outcome,
            changes: ret.changes,
            comment: ret.comment,
            warnings: ret.warnings,
            ran,
            run_num: self.report.steps.len(),
            duration_ms: ((self.context.host.now() - started) * 1e6).round().max(0.0) / 1e3,
            started,
        };
        self.observer.on_step_end(&step, self.low.chunks.len());
        self.report.steps.push(step);
    }

    /// At the end: mod_watch of each step that listens to one that changed, once each.
    fn listen(&mut self) {
        for i in 0..self.low.chunks.len() {
            let targets = self.requisites[i].targets(Kind::Listen);
            if targets.iter().any(|t| self.past(*t).is_some_and(|p| p.changed && !p.failed()))
                && !self.is_over()
            {
                self.hear(i);
            }
        }
    }

    fn hear(&mut self, i: usize) {
        let chunk = self.chunk(i);
        let Some(react) = modules::find(&chunk.state, &chunk.fun).and_then(|e| e.watch) else { return };
        let listener =
            Chunk { id: format!("listener_{}", chunk.id), fun: "mod_watch".to_owned(), ..chunk.clone() };
        self.observer.on_step_start(self.report.steps.len(), self.low.chunks.len(), &listener);
        let started = self.context.host.now();
        let call =
            Call { chunk, low: self.low, context: self.context, facts: &self.facts, test: self.options.test };
        let ret = react(&call);
        let ret = self.soften(ret, self.options.test);
        self.record(&listener, listener.tag(), ret, true, started);
    }
}

/// Whether a step left the thing itself alone, so that its mod_watch is due. To be enabled at boot is no restart.
fn still(entry: &modules::Entry, ret: &Return) -> bool {
    let alone = |change: &Value| entry.state == "service" && matches!(change, Value::Map(_));
    ret.outcome != Outcome::Failed && !ret.skip_watch && ret.changes.values().all(alone)
}

/// The return of mod_watch, with what the step itself had to say.
fn react(call: &Call<'_>, entry: &modules::Entry, own: Return) -> Return {
    let Some(watch) = entry.watch else { return own };
    let mut ret = watch(call);
    ret.warnings.extend(own.warnings);
    ret.changes.extend(own.changes);
    ret
}

fn is_set(chunk: &Chunk, key: &str) -> bool {
    chunk.arg(key).and_then(Value::as_bool).unwrap_or(false)
}

fn describe(chunk: &Chunk) -> String {
    format!("{}.{} `{}` ({})", chunk.state, chunk.fun, chunk.id, chunk.origin)
}
