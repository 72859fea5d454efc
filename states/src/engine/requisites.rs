//! Requisites as data: whom a step refers to, and what their outcomes mean for it.

use globset::GlobBuilder;

use crate::low::{Chunk, LowState};
use crate::report::Outcome;
use crate::value::{Map, Value};

/// What a requisite asks of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None has failed.
    Require,
    /// As require; and changes call mod_watch.
    Watch,
    /// One has changed, else the step is not run.
    Onchanges,
    /// One has failed, else the step is not run.
    Onfail,
    /// One is about to change, else the step is not run; the step comes before it.
    Prereq,
    /// Changes call mod_watch when the run is over.
    Listen,
    /// The same, as the target said it (`listen_in`).
    ListenIn,
}

/// How many targets must be as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    /// What Salt does without a suffix.
    Plain,
    /// `_any`.
    Any,
    /// `_all`.
    All,
}

const KEYS: [(&str, Kind, Quantity); 12] = [
    ("require", Kind::Require, Quantity::Plain),
    ("require_any", Kind::Require, Quantity::Any),
    ("watch", Kind::Watch, Quantity::Plain),
    ("watch_any", Kind::Watch, Quantity::Any),
    ("onchanges", Kind::Onchanges, Quantity::Plain),
    ("onchanges_any", Kind::Onchanges, Quantity::Any),
    ("onfail", Kind::Onfail, Quantity::Plain),
    ("onfail_any", Kind::Onfail, Quantity::Any),
    ("onfail_all", Kind::Onfail, Quantity::All),
    ("prereq", Kind::Prereq, Quantity::Plain),
    ("listen", Kind::Listen, Quantity::Plain),
    ("listen_in", Kind::ListenIn, Quantity::Plain),
];

/// Whether an argument of a step names others that it depends on.
pub(crate) fn is_requisite(key: &str) -> bool {
    KEYS.iter().any(|(known, ..)| *known == key)
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    kind: Kind,
    quantity: Quantity,
    targets: Vec<usize>,
}

/// The requisites of one step, with their targets as indices into the low state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Requisites {
    groups: Vec<Group>,
    /// References that name no step, as written.
    pub(crate) missing: Vec<String>,
}

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) outcome: Outcome,
    /// It changed something, a failed one perhaps too.
    pub(crate) changed: bool,
    /// Its function ran.
    pub(crate) ran: bool,
}

impl Past {
    /// What would change counts as changed: a rehearsal goes the way that the run will.
    pub(crate) fn new(outcome: Outcome, changes: &Map, ran: bool) -> Self {
        Self { outcome, changed: !changes.is_empty() || outcome == Outcome::WouldChange, ran }
    }

    pub(crate) fn failed(self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// What is to become of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Run it.
    Run,
    /// Run it, and then its mod_watch if it changed nothing itself.
    RunThenWatch,
    /// Leave it; the comment says why.
    Skip(&'static str),
    /// It fails because of these.
    Fail(Vec<usize>),
}

impl Requisites {
    /// Find the targets of step `i`.
    pub(crate) fn resolve(low: &LowState, i: usize) -> Self {
        let mut found = Self::default();
        let Some(chunk) = low.chunks.get(i) else { return found };
        for (key, kind, quantity) in KEYS {
            // What the chunk itself says there is for others; those who said it of this one are noted by the compiler.
            let said = (kind == Kind::ListenIn).then(|| Value::List(chunk.listens.clone()));
            let Some(value) = said.as_ref().or_else(|| chunk.arg(key)) else { continue };
            let mut targets = Vec::new();
            for reference in references(value) {
                let hits = reference.find(low, i);
                // An SLS may hold nothing but includes; whether it exists at all is for the compiler to say.
                if hits.is_empty() && reference.state != Some("sls") {
                    found.missing.push(format!("{key}: {reference}"));
                }
                targets.extend(hits.into_iter().filter(|t| *t != i));
            }
            targets.dedup();
            if !targets.is_empty() {
                found.groups.push(Group { kind, quantity, targets });
            }
        }
        found
    }

    /// The targets of one kind.
    pub(crate) fn targets(&self, kind: Kind) -> Vec<usize> {
        self.groups.iter().filter(|g| g.kind == kind).flat_map(|g| g.targets.clone()).collect()
    }

    /// The steps that must be over before this one.
    pub(crate) fn needs(&self) -> Vec<usize> {
        let apart = [Kind::Prereq, Kind::Listen, Kind::ListenIn];
        self.groups.iter().filter(|g| !apart.contains(&g.kind)).flat_map(|g| g.targets.clone()).collect()
    }

    /// What the outcomes mean. `past` knows how a target stands; `None` is one that could not be run before this step.
    pub(crate) fn judge(&self, past: &dyn Fn(Kind, usize) -> Option<Past>) -> Verdict {
        let findings: Vec<Finding> = self.groups.iter().map(|g| g.finding(past)).collect();
        let mut culprits: Vec<usize> = findings.iter().flat_map(|f| f.failed.iter().copied()).collect();
        culprits.dedup();
        if !culprits.is_empty() || !self.missing.is_empty() {
            return Verdict::Fail(culprits);
        }
        Finding::together(&findings).verdict()
    }
}

/// What the targets of one group, or of all, add up to.
#[derive(Debug, Clone, PartialEq, Default)]
struct Finding {
    /// Targets that failed or could not be run, and are not excused.
    failed: Vec<usize>,
    /// `watch`: one has changed.
    changed: bool,
    /// `onchanges`: one has changed; one has not.
    stirred: bool,
    quiet: bool,
    /// `onfail`: one is well, and that is not outweighed by one that failed.
    well: bool,
    /// `prereq`: one is about to change; one is not.
    due: bool,
    idle: bool,
}

impl Finding {
    fn together(all: &[Finding]) -> Self {
        let any = |of: fn(&Finding) -> bool| all.iter().any(of);
        Self {
            failed: Vec::new(),
            changed: any(|f| f.changed),
            stirred: any(|f| f.stirred),
            quiet: any(|f| f.quiet),
            well: any(|f| f.well),
            due: any(|f| f.due),
            idle: any(|f| f.idle),
        }
    }

    /// Salt's order of precedence, where kinds of requisites contradict each other.
    fn verdict(&self) -> Verdict {
        match (self.idle, self.due) {
            (true, true) => return Verdict::Run,
            (true, false) => {
                return Verdict::Skip("Not run, because nothing in its prereq is about to change");
            }
            (false, _) => {}
        }
        if self.well && !self.stirred {
            return Verdict::Skip("Not run, because nothing in its onfail has failed");
        }
        if self.quiet && !self.stirred {
            return Verdict::Skip("Not run, because nothing in its onchanges has changed");
        }
        match (self.changed, self.well) {
            (true, _) => Verdict::RunThenWatch,
            (false, true) => Verdict::Skip("Not run, because nothing in its onfail has failed"),
            (false, false) => Verdict::Run,
        }
    }
}

impl Group {
    fn finding(&self, past: &dyn Fn(Kind, usize) -> Option<Past>) -> Finding {
        let known: Vec<(usize, Option<Past>)> =
            self.targets.iter().map(|t| (*t, past(self.kind, *t))).collect();
        let lost: Vec<usize> = known.iter().filter(|(_, p)| p.is_none()).map(|(t, _)| *t).collect();
        let listens = matches!(self.kind, Kind::Listen | Kind::ListenIn);
        if !lost.is_empty() && !listens {
            return Finding { failed: lost, ..Finding::default() };
        }
        let known: Vec<(usize, Past)> = known.into_iter().filter_map(|(t, p)| Some((t, p?))).collect();
        match self.kind {
            Kind::Listen | Kind::ListenIn => Finding::default(),
            Kind::Require | Kind::Watch => self.needed(&known),
            Kind::Onchanges => onchanges(&known),
            Kind::Onfail => self.onfail(&known),
            Kind::Prereq => prereq(&known),
        }
    }

    fn needed(&self, known: &[(usize, Past)]) -> Finding {
        let changed = self.kind == Kind::Watch && known.iter().any(|(_, p)| p.changed && !p.failed());
        let met = changed || known.iter().any(|(_, p)| p.ran && !p.failed());
        let excused = self.quantity == Quantity::Any && met;
        let failed = if excused { Vec::new() } else { failures(known) };
        Finding { failed, changed, ..Finding::default() }
    }

    /// One that was not run counts neither as failed nor as well when it is not well because of others.
    fn onfail(&self, known: &[(usize, Past)]) -> Finding {
        let well = known.iter().any(|(_, p)| !p.failed());
        let broken = known.iter().any(|(_, p)| p.failed() && p.ran);
        Finding { well: well && (self.quantity == Quantity::All || !broken), ..Finding::default() }
    }
}

fn failures(known: &[(usize, Past)]) -> Vec<usize> {
    known.iter().filter(|(_, p)| p.failed()).map(|(t, _)| *t).collect()
}

fn onchanges(known: &[(usize, Past)]) -> Finding {
    let stirred = known.iter().any(|(_, p)| p.changed && !p.failed());
    Finding { stirred, quiet: !stirred, ..Finding::default() }
}

fn prereq(known: &[(usize, Past)]) -> Finding {
    let (due, idle) = (known.iter().any(|(_, p)| p.changed), known.iter().any(|(_, p)| !p.changed));
    Finding { failed: failures(known), due, idle, ..Finding::default() }
}

/// One reference of a requisite.
struct Reference<'a> {
    /// `None`: any state module, by id or name.
    state: Option<&'a str>,
    name: String,
}

impl std::fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.state {
            Some(state) => write!(f, "{state}: {}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn references(value: &Value) -> Vec<Reference<'_>> {
    let items = match value {
        Value::List(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    items.iter().flat_map(reference).collect()
}

fn reference(item: &Value) -> Vec<Reference<'_>> {
    let text = |v: &Value| crate::modules::args::scalar(v).unwrap_or_default();
    match item {
        Value::Map(map) => {
            map.iter().map(|(key, name)| Reference { state: module(key), name: text(name) }).collect()
        }
        other => vec![Reference { state: None, name: text(other) }],
    }
}

/// The state module of a reference: `file.managed: x` means the same as `file: x`, and `id` any module.
fn module(key: &str) -> Option<&str> {
    Some(key.split('.').next().unwrap_or(key)).filter(|module| *module != "id")
}

impl Reference<'_> {
    /// The steps meant: by id or name or a shell pattern of them (of that state module), or all of an SLS.
    fn find(&self, low: &LowState, own: usize) -> Vec<usize> {
        let by = |test: &dyn Fn(&Chunk) -> bool| -> Vec<usize> {
            low.chunks.iter().enumerate().filter(|(_, c)| test(c)).map(|(i, _)| i).collect()
        };
        let is_pattern = self.name.contains(['*', '?', '[']);
        let pattern = || GlobBuilder::new(&self.name).literal_separator(false).build().ok();
        let pattern = is_pattern.then(pattern).flatten().map(|glob| glob.compile_matcher());
        let fits = |text: &str| text == self.name || pattern.as_ref().is_some_and(|p| p.is_match(text));
        if self.state == Some("sls") {
            let inside = by(&|c| fits(&c.sls) || included_from(c).any(fits));
            return inside.into_iter().filter(|i| *i != own).collect();
        }
        by(&|c| self.state.is_none_or(|s| c.state == s) && (fits(&c.id) || fits(&c.name)))
    }
}

/// The SLS files that include a step's own, as the compiler notes them.
fn included_from(chunk: &Chunk) -> impl Iterator<Item = &str> {
    let from = chunk.arg("__sls_included_from__").and_then(Value::as_list).unwrap_or_default();
    from.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: &str, args: &[(&str, &[(&str, &str)])]) -> Chunk {
        let list = |refs: &[(&str, &str)]| {
            let one = |(k, v): &(&str, &str)| {
                Value::Map(Map::from([((*k).to_owned(), Value::Str((*v).to_owned()))]))
            };
            Value::List(refs.iter().map(one).collect())
        };
        let args = args.iter().map(|(k, v)| ((*k).to_owned(), list(v))).collect();
        Chunk {
            state: "test".into(),
            fun: "nop".into(),
            id: id.into(),
            name: id.into(),
            sls: "s".into(),
            args,
            ..Chunk::default()
        }
    }

    /// The verdict on a step that has `key` on two targets which ended so.
    fn verdict(key: &str, one: Past, two: Past) -> Verdict {
        let chunks = vec![
            chunk("one", &[]),
            chunk("two", &[]),
            chunk("x", &[(key, &[("test", "one"), ("test", "two")])]),
        ];
        let low = LowState { chunks, ..LowState::default() };
        Requisites::resolve(&low, 2).judge(&|_, i| Some(if i == 0 { one } else { two }))
    }

    const OK: Past = Past { outcome: Outcome::Ok, changed: false, ran: true };
    const CHANGED: Past = Past { outcome: Outcome::Ok, changed: true, ran: true };
    const WOULD: Past = Past { outcome: Outcome::WouldChange, changed: true, ran: true };
    const FAILED: Past = Past { outcome: Outcome::Failed, changed: false, ran: true };
    const SKIPPED: Past = Past { outcome: Outcome::Ok, changed: false, ran: false };
    const BLOCKED: Past = Past { outcome: Outcome::Failed, changed: false, ran: false };

    #[test]
    fn every_kind_of_requisite_has_its_verdict() {
        use Verdict::{Fail, Run, RunThenWatch};
        assert_eq!(verdict("require", OK, CHANGED), Run);
        assert_eq!(verdict("require", OK, FAILED), Fail(vec![1]));
        assert_eq!(verdict("require_any", OK, FAILED), Run);
        assert_eq!(verdict("require_any", FAILED, FAILED), Fail(vec![0, 1]));
        assert_eq!(verdict("watch", OK, OK), Run);
        assert_eq!(verdict("watch", OK, CHANGED), RunThenWatch);
        assert_eq!(verdict("watch", FAILED, CHANGED), Fail(vec![0]));
        assert_eq!(verdict("watch_any", FAILED, CHANGED), RunThenWatch);
        assert_eq!(verdict("onchanges", OK, CHANGED), Run);
        assert!(matches!(verdict("onchanges", OK, FAILED), Verdict::Skip(_)));
        assert_eq!(verdict("onfail", OK, FAILED), Run);
        assert!(matches!(verdict("onfail", OK, CHANGED), Verdict::Skip(_)));
        assert!(matches!(verdict("onfail_all", OK, FAILED), Verdict::Skip(_)));
        assert_eq!(verdict("onfail_all", FAILED, FAILED), Run);
        assert_eq!(verdict("prereq", OK, WOULD), Run);
        assert!(matches!(verdict("prereq", OK, OK), Verdict::Skip(_)));
        assert_eq!(verdict("listen", FAILED, CHANGED), Run);
        assert_eq!(
            verdict("require_any", SKIPPED, FAILED),
            Fail(vec![1]),
            "one that was not run excuses none"
        );
        assert_eq!(verdict("onfail", BLOCKED, BLOCKED), Run);
        assert!(matches!(verdict("onfail", OK, BLOCKED), Verdict::Skip(_)));
    }

    #[test]
    fn targets_are_found_by_id_name_sls_and_pattern() {
        let mut named = chunk("web-conf", &[]);
        named.name = "/etc/web.conf".into();
        let refs: &[(&str, &str)] =
            &[("test", "web-conf"), ("test.nop", "/etc/*"), ("sls", "s*"), ("file", "web-conf")];
        let low = LowState { chunks: vec![named, chunk("x", &[("require", refs)])], ..LowState::default() };
        let found = Requisites::resolve(&low, 1);
        assert_eq!(found.targets(Kind::Require), vec![0]);
        assert_eq!(found.missing, vec!["require: file: web-conf"]);
    }

    #[test]
    fn a_failed_requirement_weighs_more_than_a_quiet_onchanges() {
        let refs: &[(&str, &[(&str, &str)])] =
            &[("require", &[("test", "one")]), ("onchanges", &[("test", "two")])];
        let low = LowState {
            chunks: vec![chunk("one", &[]), chunk("two", &[]), chunk("x", refs)],
            ..LowState::default()
        };
        let found = Requisites::resolve(&low, 2);
        assert_eq!(found.judge(&|_, i| Some(if i == 0 { FAILED } else { OK })), Verdict::Fail(vec![0]));
    }
}
