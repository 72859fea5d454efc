//! High data to high data: `extend`, `exclude`, `use` and the `_in` forms of requisites.

use indexmap::IndexMap;

use crate::compile::high::{Body, Decl, Exclude, High, Item};
use crate::error::{Error, Fault, Findings};
use crate::low::Origin;
use crate::nearest::did_you_mean;
use crate::python::glob::fnmatch;
use crate::value::{Map, Value};

/// Requisites that chunks carry.
pub(crate) const REQUISITES: &[&str] = &[
    "onfail",
    "onfail_any",
    "onfail_all",
    "require",
    "require_any",
    "onchanges",
    "onchanges_any",
    "watch",
    "watch_any",
    "prereq",
    "prerequired",
    "listen",
    "onfail_stop",
];

const REQUISITE_IN: &[&str] =
    &["require_in", "watch_in", "onfail_in", "onchanges_in", "use", "use_in", "prereq_in"];

/// Applies `extend:`.
pub(crate) fn extend(high: &mut High, found: &mut Findings) {
    let extends = std::mem::take(&mut high.extends);
    reconcile(high, extends, false, &mut found.errors);
}

/// Applies `require_in` and its kin, `use` and `use_in`.
pub(crate) fn requisites_in(high: &mut High, found: &mut Findings) {
    let extends = Collector::default().run(high, found);
    reconcile(high, extends.into_iter().collect(), true, &mut found.errors);
}

/// Applies `exclude:`.
pub(crate) fn exclude(high: &mut High) {
    let excludes = std::mem::take(&mut high.excludes);
    high.decls.retain(|id, decl| {
        !excludes.iter().any(|exclude| match exclude {
            Exclude::Sls(pattern) => fnmatch(&decl.sls, pattern),
            Exclude::Id(excluded) => id == excluded,
        })
    });
}

/// The ids, with their states, that a reference by id or name means.
fn find_name(name: &str, state: &str, high: &High, strict: bool) -> Vec<(String, String)> {
    if let Some(decl) = high.decls.get(name)
        && (!strict || decl.states.contains_key(state))
    {
        return vec![(name.to_owned(), state.to_owned())];
    }
    if state == "sls" {
        let of_sls = high.decls.iter().filter(|(_, d)| d.sls == name);
        return of_sls.filter_map(|(id, d)| Some((id.clone(), d.states.keys().next()?.clone()))).collect();
    }
    let single_value = |item: &Item| {
        item.value.as_map().filter(|m| m.len() == 1).and_then(|m| m.first()?.1.as_str()) == Some(name)
    };
    let named = high.decls.iter().filter_map(|(id, d)| Some((id, d.states.get(state)?)));
    named
        .flat_map(|(id, body)| {
            let times = body.items.iter().filter(|i| single_value(i)).count();
            std::iter::repeat_n((id.clone(), state.to_owned()), times)
        })
        .collect()
}

fn reconcile(high: &mut High, extends: Vec<(String, Decl)>, strict: bool, errors: &mut Vec<Error>) {
    for (name, ext) in extends {
        let Some(first) = ext.states.keys().next().cloned() else { continue };
        let excluded = |e: &Exclude| matches!(e, Exclude::Sls(s) if *s == ext.sls);
        let there = high.decls.get(&name).is_some_and(|d| d.states.contains_key(&first));
        let target = if there {
            name.clone()
        } else {
            match find_name(&name, &first, high, strict).as_slice() {
                [(id, _)] => id.clone(),
                found => {
                    errors.push(cannot_extend(&name, &first, &ext, found.len(), high));
                    continue;
                }
            }
        };
        if high.excludes.iter().any(excluded) {
            continue;
        }
        let Some(decl) = high.decls.get_mut(&target) else { continue };
        for (state, body) in ext.states {
            match decl.states.get_mut(&state) {
                None => _ = decl.states.insert(state, body),
                Some(own) => body.items.into_iter().for_each(|item| extend_body(own, item)),
            }
        }
    }
}

fn cannot_extend(name: &str, state: &str, ext: &Decl, found: usize, high: &High) -> Error {
    let message = if found == 0 {
        format!("cannot extend '{name}': no '{state}' of that ID or name is part of this run")
    } else {
        format!("cannot extend '{name}': {found} declarations of '{state}' have that name")
    };
    let of_state = high.decls.iter().filter(|(_, decl)| decl.states.contains_key(state));
    let near = if found == 0 { did_you_mean(name, of_state.map(|(id, _)| id.as_str())) } else { None };
    let help = near.unwrap_or_else(|| "check the spelling, and include the SLS that declares it".to_owned());
    Error::new(Fault::Requisite(message)).at(ext.at.clone()).help(help)
}

/// One item over a state's list: the function is replaced, requisites grow, other arguments are replaced.
fn extend_body(own: &mut Body, item: Item) {
    let mut updated = false;
    for old in &mut own.items {
        match (&mut old.value, &item.value) {
            (Value::Str(_), Value::Str(_)) => {
                *old = item.clone();
                updated = true;
            }
            (Value::Map(theirs), Value::Map(ours)) => {
                let (Some(their_key), Some((key, value))) = (theirs.keys().next().cloned(), ours.first())
                else {
                    continue;
                };
                if their_key == *key {
                    let grown = match (theirs.get_mut(key), value) {
                        (Some(Value::List(l)), Value::List(more)) if REQUISITES.contains(&key.as_str()) => {
                            l.extend(more.iter().cloned());
                            true
                        }
                        _ => false,
                    };
                    if !grown {
                        *old = item.clone();
                    }
                    updated = true;
                } else if key == "name" && their_key == "names" {
                    *old = item.clone();
                }
            }
            _ => {}
        }
    }
    if !updated {
        own.items.push(item);
    }
}

/// What the `_in` forms add to other declarations.
#[derive(Default)]
struct Collector {
    extends: IndexMap<String, Decl>,
    added: usize,
}

/// The most references that the `_in` forms of one run may add: Salt's way of adding them grows with the square.
const MOST_ADDED: usize = 500_000;

/// The declaration whose requisite is being applied.
struct Subject<'h> {
    id: &'h str,
    state: &'h str,
    decl: &'h Decl,
    at: &'h Origin,
}

impl Collector {
    fn run(mut self, high: &High, found: &mut Findings) -> IndexMap<String, Decl> {
        for (id, decl) in &high.decls {
            for (state, body) in &decl.states {
                for item in &body.items {
                    let Some((key, value)) = item.value.as_map().and_then(|m| m.first()) else { continue };
                    if !REQUISITE_IN.contains(&key.as_str()) {
                        continue;
                    }
                    let subject = Subject { id, state, decl, at: &item.at };
                    self.item(high, &subject, key, value, found);
                }
            }
        }
        self.extends
    }

    fn item(&mut self, high: &High, subject: &Subject<'_>, key: &str, value: &Value, found: &mut Findings) {
        let references: Vec<Value> = match value {
            Value::Map(m) => m.iter().map(|(k, v)| Value::Map(Map::from([(k.clone(), v.clone())]))).collect(),
            Value::List(items) => items.clone(),
            _ => {
                let message = format!("`{key}` of '{}' must be a list of references", subject.id);
                found.errors.push(Error::new(Fault::Requisite(message)).at(subject.at.clone()));
                return;
            }
        };
        // Salt goes through all references so far for each one; what is named first is added more than once.
        let mut targets: Vec<(String, String)> = Vec::new();
        let in_list = matches!(value, Value::List(_));
        for reference in references {
            if let Some((state, _)) = nameless(&reference) {
                let message =
                    format!("`{key}` of '{}' names a {state} by something that is no text", subject.id);
                found.errors.push(Error::new(Fault::Requisite(message)).at(subject.at.clone()));
                continue;
            }
            let Some((state, name)) = resolve(&reference, high) else {
                found.warnings.push(nobody(subject, key, &reference));
                continue;
            };
            if let Some((bare, _)) = state.split_once('.') {
                let message = format!("`{key}` of '{}' names the state '{state}'", subject.id);
                let error = Error::new(Fault::Requisite(message)).at(subject.at.clone());
                found
                    .errors
                    .push(error.help(format!("requisites name a state without its function: `{bare}`")));
                continue;
            }
            if state == "sls" && in_list {
                let of_sls = high.decls.iter().filter(|(_, d)| d.sls == name);
                targets =
                    of_sls.flat_map(|(id, d)| d.states.keys().map(|s| (id.clone(), s.clone()))).collect();
            } else {
                targets.retain(|_| in_list);
                targets.push((name, state));
            }
            self.added = self.added.saturating_add(targets.len());
            if self.added > MOST_ADDED {
                let message = format!("`{key}` and its like add more than {MOST_ADDED} references");
                found.errors.push(Error::new(Fault::Limit(message)).at(subject.at.clone()));
                return;
            }
            for (name, state) in &targets {
                self.apply(high, subject, key, name, state);
            }
        }
    }

    fn apply(&mut self, high: &High, subject: &Subject<'_>, key: &str, name: &str, state: &str) {
        match key {
            "use_in" => {
                for (id, target_state) in find_name(name, state, high, true) {
                    let from = (subject.id, subject.state);
                    self.copy_args(high, subject, from, (&id, &target_state));
                }
            }
            "use" => {
                for (id, target_state) in find_name(name, state, high, true) {
                    let to = (subject.id, subject.state);
                    self.copy_args(high, subject, (&id, &target_state), to);
                }
            }
            _ => {
                let requisite = key.split('_').next().unwrap_or(key);
                let reference =
                    Value::Map(Map::from([(subject.state.to_owned(), Value::Str(subject.id.to_owned()))]));
                let decl = self.decl(subject, name);
                (decl.sls, decl.env) = (subject.decl.sls.clone(), subject.decl.env.clone());
                let body = self.body(subject, name, state);
                let same = body.items.iter_mut().find(|i| i.key() == Some(requisite));
                match same
                    .and_then(|i| if let Value::Map(m) = &mut i.value { m.get_mut(requisite) } else { None })
                {
                    Some(Value::List(list)) => list.push(reference),
                    _ => {
                        let list = Value::List(vec![reference]);
                        let value = Value::Map(Map::from([(requisite.to_owned(), list)]));
                        body.items.push(Item { value, at: subject.at.clone() });
                    }
                }
            }
        }
    }

    /// What is being collected for an id: of no SLS until a requisite is added to it, so that `use` works out of an
    /// excluded one too.
    fn decl(&mut self, subject: &Subject<'_>, id: &str) -> &mut Decl {
        self.extends.entry(id.to_owned()).or_insert_with(|| Decl {
            sls: String::new(),
            env: String::new(),
            at: subject.at.clone(),
            included_from: Vec::new(),
            states: IndexMap::new(),
        })
    }

    /// The state of an id in what is being collected.
    fn body(&mut self, subject: &Subject<'_>, id: &str, state: &str) -> &mut Body {
        let empty = || Body { items: Vec::new(), malformed: None, at: subject.at.clone() };
        let decl = self.decl(subject, id);
        decl.states.entry(state.to_owned()).or_insert_with(empty)
    }

    /// Copies the arguments that the receiver does not have itself.
    fn copy_args(&mut self, high: &High, subject: &Subject<'_>, from: (&str, &str), to: (&str, &str)) {
        let items = |(id, state): (&str, &str)| high.decls.get(id).and_then(|d| d.states.get(state));
        let (Some(source), Some(target)) = (items(from), items(to)) else { return };
        let has: Vec<&str> = target.items.iter().filter_map(Item::key).collect();
        let wanted = |item: &&Item| {
            let single = item.value.as_map().is_some_and(|m| m.len() == 1);
            let key = item.key().unwrap_or_default();
            let requisite = REQUISITE_IN.contains(&key)
                || matches!(key, "require" | "watch" | "prereq" | "onfail" | "onfail_stop" | "onchanges");
            single && !requisite && !has.contains(&key) && key != "name" && key != "names"
        };
        let copied: Vec<Item> = source.items.iter().filter(wanted).cloned().collect();
        let body = self.body(subject, to.0, to.1);
        body.items.extend(copied);
    }
}

/// A reference to a state by something that is no text.
fn nameless(reference: &Value) -> Option<(&String, &Value)> {
    reference.as_map()?.first().filter(|(_, name)| name.as_str().is_none())
}

/// A bare reference that means nothing: Salt goes on without it.
fn nobody(subject: &Subject<'_>, key: &str, reference: &Value) -> Error {
    let what = reference.as_str().map_or_else(String::new, |s| format!(" '{s}'"));
    let message = format!("`{key}` of '{}' names{what}, which is no ID or name of this run", subject.id);
    Error::new(Fault::Requisite(message))
        .at(subject.at.clone())
        .help("it is left out, as in Salt; references are written as `- STATE: ID`")
}

/// State and name of a reference; a bare text is an id, else the `name` of some state.
fn resolve(reference: &Value, high: &High) -> Option<(String, String)> {
    match reference {
        Value::Map(m) => {
            let (state, name) = m.first()?;
            Some((state.clone(), name.as_str()?.to_owned()))
        }
        Value::Str(id) => match high.decls.get(id) {
            Some(decl) => Some((decl.states.keys().next()?.clone(), id.clone())),
            None => {
                let has_name = |body: &Body| {
                    body.items.iter().any(|i| {
                        i.value.as_map().and_then(|m| m.get("name")).and_then(Value::as_str) == Some(id)
                    })
                };
                let mut all =
                    high.decls.iter().flat_map(|(i, d)| d.states.iter().map(move |(s, b)| (i, s, b)));
                let first = all.find(|(_, _, body)| has_name(body));
                first.map(|(id, state, _)| (state.clone(), id.clone()))
            }
        },
        _ => None,
    }
}
