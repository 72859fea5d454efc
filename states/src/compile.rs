//! High data to low state: chunks, their requisites and their order.

use indexmap::{IndexMap, IndexSet};

use crate::error::{Error, Errors, Fault, Findings};
use crate::extend::{self, REQUISITES};
use crate::glob::{fnmatch, is_pattern};
use crate::high::{Body, Decl, High, Item, gather};
use crate::jinja::Py;
use crate::low::{Chunk, LowState, Origin};
use crate::order::{Edge, Graph, Ordered, Vertex, Wish};
use crate::render::on_stack;
use crate::session::Session;
use crate::value::{Map, Value};

/// The low state of the top file: what Salt's `state.apply` without names would run.
///
/// # Errors
/// Everything that is wrong, each error with file, line and column.
pub fn highstate(session: &Session<'_>) -> Result<LowState, Errors> {
    low(session, |pillar| {
        let matches = crate::top::of_states(session, pillar)?;
        if matches.is_empty() {
            let id = &session.minion.id;
            let fault = Fault::Top(format!("no state is targeted at the minion '{id}'"));
            return Err(Error::new(fault).help("add a target that matches it to top.sls").into());
        }
        Ok(matches)
    })
}

/// The low state of these SLS names, as Salt's `state.apply NAME,…` would run it.
///
/// # Errors
/// As [`highstate`].
pub fn sls(session: &Session<'_>, names: &[String]) -> Result<LowState, Errors> {
    low(session, |_| Ok(vec![(saltenv(session).to_owned(), names.to_vec())]))
}

/// The environment that names without one belong to.
fn saltenv<'s>(session: &Session<'s>) -> &'s str {
    if session.minion.saltenv.is_empty() { "base" } else { &session.minion.saltenv }
}

fn low(
    session: &Session<'_>,
    matches: impl FnOnce(&Py) -> Result<crate::top::Matches, Errors> + Send,
) -> Result<LowState, Errors> {
    let compiled = on_stack(|| {
        let run = || {
            let pillar = crate::pillar::compiled(session)?;
            // Taken before the SLS files are rendered: templates may change what they are given.
            let plain = crate::pillar::to_map(&pillar);
            let high = gather(session, &matches(&pillar)?, pillar)?;
            Ok(LowState { pillar: plain, ..compile(session, high)? })
        };
        Ok(run())
    });
    compiled?
}

fn compile(session: &Session<'_>, mut high: High) -> Result<LowState, Errors> {
    let mut found = Findings::default();
    extend::extend(&mut high, &mut found);
    verify(&high, &mut found);
    found.stop()?;
    extend::requisites_in(&mut high, &mut found);
    extend::exclude(&mut high);
    found.stop()?;
    let mut drafts = chunks(&high);
    check_functions(session, &drafts, &mut found.errors);
    watch_or_require(session, &mut drafts);
    let ordered = order(&drafts, &high, &mut found.errors);
    found.stop()?;
    let mut low = in_order(drafts, &ordered);
    listens(&mut low.chunks);
    low.warnings = found.warnings;
    Ok(low)
}

/// The chunks in their order; those that a `prereq` rehearses, and those that have one, with Salt's marks.
fn in_order(drafts: Vec<Draft>, ordered: &Ordered) -> LowState {
    let mut by_tag: IndexMap<String, Chunk> = drafts.into_iter().map(|d| (d.chunk.tag(), d.chunk)).collect();
    let mut mark = |tags: &IndexSet<String>, mark: &str| {
        for tag in tags {
            let chunk = by_tag.get_mut(tag);
            _ = chunk.map(|c| c.args.insert(mark.to_owned(), Value::Bool(true)));
        }
    };
    mark(&ordered.rehearsed, "__prereq__");
    mark(&ordered.prerequiring, "__prerequiring__");
    let mut place: IndexMap<&str, usize> = IndexMap::new();
    for tag in ordered.listing.iter().filter(|p| !p.rehearsal).map(|p| p.tag.as_str()) {
        place.insert(tag, place.len());
    }
    let listing = ordered.listing.iter().filter_map(|p| place.get(p.tag.as_str()).copied()).collect();
    let chunks = place.keys().filter_map(|tag| by_tag.swap_remove(*tag)).collect();
    LowState { chunks, listing, ..LowState::default() }
}

/// Refuses what Salt's `verify_high` refuses.
fn verify(high: &High, found: &mut Findings) {
    for (id, decl) in &high.decls {
        for (state, body) in &decl.states {
            verify_body(id, state, decl, body, found);
        }
    }
}

fn verify_body(id: &str, state: &str, decl: &Decl, body: &Body, found: &mut Findings) {
    let Findings { errors, warnings } = found;
    let mut fail = |message: String, at: &Origin, help: &str| {
        let error = Error::new(Fault::High(message)).at(at.clone());
        errors.push(if help.is_empty() { error } else { error.help(help) });
    };
    let sls = &decl.sls;
    if let Some(kind) = body.malformed {
        let help = if kind == "nothing" {
            "without arguments, leave out the colon"
        } else {
            "arguments are a list: each on a line that starts with `- `"
        };
        return fail(
            format!("'{state}' of the ID '{id}' in SLS '{sls}' must be a list, not {kind}"),
            &body.at,
            help,
        );
    }
    let functions: Vec<&str> = body.items.iter().filter_map(Item::function).collect();
    for function in functions.iter().filter(|f| f.trim().contains(' ')) {
        let message = format!("the function '{function}' of the ID '{id}' in SLS '{sls}' has a blank in it");
        fail(message, &body.at, "if it is an argument, it needs a colon after its name");
    }
    match functions.len() {
        0 => {
            let message = format!("'{state}' of the ID '{id}' in SLS '{sls}' names no function");
            fail(message, &body.at, "write it as `STATE.FUNCTION:`, such as `file.managed:`");
        }
        1 => {}
        _ => {
            let all = functions.join(", ");
            fail(
                format!("'{state}' of the ID '{id}' in SLS '{sls}' names several functions: {all}"),
                &body.at,
                "keep one",
            );
        }
    }
    for item in &body.items {
        match &item.value {
            Value::Map(args) => verify_args(id, args, &item.at, &mut fail),
            Value::Str(_) => {}
            other => warnings.push(no_argument(id, other, &item.at)),
        }
    }
}

/// What is neither a function nor an argument: Salt goes on without it.
fn no_argument(id: &str, value: &Value, at: &Origin) -> Error {
    let kind = match value {
        Value::List(_) => "a list",
        Value::Null => "nothing",
        _ => "a bare value",
    };
    let fault = Fault::High(format!("an argument of the ID '{id}' is {kind}"));
    Error::new(fault).at(at.clone()).help("it is left out, as in Salt; arguments are `NAME: VALUE`")
}

fn verify_args(id: &str, args: &Map, at: &Origin, fail: &mut dyn FnMut(String, &Origin, &str)) {
    let Some((key, value)) = args.first() else { return };
    if key == "names" && value.as_list().is_none() {
        fail(format!("`names` of the ID '{id}' must be a list"), at, "");
    }
    if !REQUISITES.contains(&key.as_str()) {
        return;
    }
    let Some(references) = value.as_list() else {
        return fail(
            format!("`{key}` of the ID '{id}' must be a list"),
            at,
            "references are written as `- STATE: ID`",
        );
    };
    for reference in references {
        match reference {
            Value::Str(_) => {}
            Value::Map(m) if m.len() == 1 => {
                let Some((state, target)) = m.first() else { continue };
                if let Some((bare, _)) = state.split_once('.') {
                    let message = format!("`{key}` of the ID '{id}' names the state '{state}'");
                    fail(message, at, &format!("requisites name a state without its function: `{bare}`"));
                }
                if matches!(target, Value::List(_) | Value::Map(_)) {
                    fail(
                        format!("`{key}` of the ID '{id}' names a {state} by something that is no text"),
                        at,
                        "",
                    );
                }
            }
            _ => {
                let message = format!("a reference in `{key}` of the ID '{id}' is no pair");
                fail(message, at, "references are written as `- STATE: ID`");
            }
        }
    }
    if args.len() != 1 {
        let message = format!("`{key}` of the ID '{id}' is followed by other keys in the same list entry");
        fail(message, at, "each argument starts with its own `- `; check the indentation");
    }
}

/// A chunk that is being made.
struct Draft {
    chunk: Chunk,
    wish: Wish,
    name_order: u32,
    included_from: Vec<String>,
}

/// The chunks of high data, in the order written.
fn chunks(high: &High) -> Vec<Draft> {
    let mut all = Vec::new();
    for (id, decl) in &high.decls {
        for (state, body) in &decl.states {
            state_chunks(id, decl, state, body, &mut all);
        }
    }
    all
}

fn state_chunks(id: &str, decl: &Decl, state: &str, body: &Body, all: &mut Vec<Draft>) {
    let mut args = Map::from([("name".to_owned(), Value::Str(id.to_owned()))]);
    let mut names: Vec<Value> = Vec::new();
    for (key, value) in body.items.iter().filter_map(|i| i.value.as_map()).flatten() {
        match key.as_str() {
            "names" => {
                let new = value.as_list().unwrap_or_default().iter();
                for name in new {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
            "state" => {}
            "name" if value.as_str().is_none() => {
                args.insert(key.clone(), Value::Str(id.to_owned()));
            }
            _ => _ = args.insert(key.clone(), value.clone()),
        }
    }
    let Some(fun) = body.items.iter().find_map(Item::function) else { return };
    let draft = |args: Map, name_order| {
        let mut args = args;
        let written = args.shift_remove("name").unwrap_or_else(|| Value::Str(id.to_owned()));
        let wish = wish(args.shift_remove("order").as_ref());
        if !decl.included_from.is_empty() {
            let from = decl.included_from.iter().cloned().map(Value::Str).collect();
            args.insert("__sls_included_from__".to_owned(), Value::List(from));
        }
        let chunk = Chunk {
            state: state.to_owned(),
            fun: fun.to_owned(),
            name: text_of(&written),
            typed_name: Some(written).filter(|n| n.as_str().is_none()),
            id: id.to_owned(),
            sls: decl.sls.clone(),
            env: decl.env.clone(),
            order: shown_order(wish),
            args,
            listens: Vec::new(),
            origin: decl.at.clone(),
        };
        Draft { chunk, wish, name_order, included_from: decl.included_from.clone() }
    };
    if names.is_empty() {
        all.push(draft(args, 0));
        return;
    }
    for (index, name) in names.iter().enumerate() {
        let mut own = args.clone();
        match name {
            Value::Map(m) => {
                let Some((name, more)) = m.first() else { continue };
                own.insert("name".to_owned(), Value::Str(name.clone()));
                let more = more.as_list().unwrap_or_default().iter().filter_map(Value::as_map).flatten();
                own.extend(more.map(|(k, v)| (k.clone(), v.clone())));
            }
            name => _ = own.insert("name".to_owned(), name.clone()),
        }
        all.push(draft(own, u32::try_from(index + 1).unwrap_or(u32::MAX)));
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Str(s) => s.clone(),
        other => crate::jinja::text(&crate::jinja::Py::from(other)),
    }
}

fn wish(order: Option<&Value>) -> Wish {
    match order {
        #[allow(clippy::cast_precision_loss)] // Order numbers are small.
        Some(Value::Int(i)) => Wish::Number(*i as f64),
        Some(Value::Float(f)) => Wish::Number(*f),
        // As in Python, a truth value is a number.
        Some(Value::Bool(b)) => Wish::Number(f64::from(u8::from(*b))),
        Some(Value::Str(s)) if s == "first" => Wish::First,
        Some(Value::Str(s)) if s == "last" => Wish::Last,
        Some(_) => Wish::Odd,
        None => Wish::None,
    }
}

/// The order as a whole number, for people: Salt counts `names` in fractions.
#[allow(clippy::cast_possible_truncation)] // Order numbers are small.
fn shown_order(wish: Wish) -> i64 {
    match wish {
        Wish::Number(n) => n as i64,
        Wish::First => 0,
        Wish::None | Wish::Odd | Wish::Last => 1_000_000,
    }
}

fn check_functions(session: &Session<'_>, chunks: &[Draft], errors: &mut Vec<Error>) {
    let mut told = IndexSet::new();
    for chunk in chunks.iter().map(|d| &d.chunk) {
        if session.states.known(&chunk.state, &chunk.fun) || !told.insert((&chunk.id, &chunk.state)) {
            continue;
        }
        let fault = Fault::UnknownState(format!("{}.{}", chunk.state, chunk.fun));
        errors.push(
            Error::new(fault).at(chunk.origin.clone()).help("check the spelling of state and function"),
        );
    }
}

/// `watch` means no more than `require` where the state does not react to it.
fn watch_or_require(session: &Session<'_>, chunks: &mut [Draft]) {
    for chunk in chunks.iter_mut().map(|d| &mut d.chunk) {
        if session.states.has_mod_watch(&chunk.state) {
            continue;
        }
        for (watch, require) in [("watch", "require"), ("watch_any", "require_any")] {
            let Some(Value::List(watched)) = chunk.args.shift_remove(watch) else { continue };
            match chunk.args.get_mut(require) {
                Some(Value::List(required)) => required.extend(watched),
                _ => _ = chunk.args.insert(require.to_owned(), Value::List(watched)),
            }
        }
    }
}

/// What requisites can refer to.
#[derive(Default)]
struct Index {
    by_state: IndexMap<(String, String), IndexSet<String>>,
    by_sls: IndexMap<String, IndexSet<String>>,
}

impl Index {
    fn new(chunks: &[Draft]) -> Self {
        let mut index = Index::default();
        for draft in chunks {
            let (chunk, tag) = (&draft.chunk, draft.chunk.tag());
            for (kind, name) in [
                (chunk.state.as_str(), &chunk.name),
                (chunk.state.as_str(), &chunk.id),
                ("id", &chunk.id),
                ("id", &chunk.name),
            ] {
                index.by_state.entry((kind.to_owned(), name.clone())).or_default().insert(tag.clone());
            }
            for sls in draft.included_from.iter().chain([&chunk.sls]) {
                index.by_sls.entry(sls.clone()).or_default().insert(tag.clone());
            }
        }
        index
    }

    /// The tags that a reference means; `None` when it means nothing.
    fn find(&self, kind: &str, name: &str) -> Option<Vec<String>> {
        let all = |sets: Vec<&IndexSet<String>>| sets.into_iter().flatten().cloned().collect::<Vec<_>>();
        match (kind, is_pattern(name)) {
            ("sls", true) => {
                Some(all(self.by_sls.iter().filter(|(s, _)| fnmatch(s, name)).map(|(_, t)| t).collect()))
            }
            ("sls", false) => self.by_sls.get(name).map(|t| all(vec![t])),
            (kind, true) => {
                let fits = |(k, n): &(String, String)| k == kind && fnmatch(n, name);
                let sets: Vec<_> = self.by_state.iter().filter(|(k, _)| fits(k)).map(|(_, t)| t).collect();
                // A name that only looks like a pattern, such as `[x]`, is found by itself.
                let exact = self.by_state.get(&(kind.to_owned(), name.to_owned()));
                let found = all(sets.into_iter().chain(exact).collect());
                (!found.is_empty()).then_some(found)
            }
            (kind, false) => self.by_state.get(&(kind.to_owned(), name.to_owned())).map(|t| all(vec![t])),
        }
    }
}

/// State and name of a reference in a requisite.
pub(crate) fn reference(value: &Value) -> Option<(&str, Option<&str>)> {
    match value {
        Value::Str(id) => Some(("id", Some(id))),
        Value::Map(m) => {
            let (kind, name) = m.first()?;
            Some((kind.split('.').next().unwrap_or(kind), name.as_str()))
        }
        _ => None,
    }
}

/// The tags in run order.
fn order(chunks: &[Draft], high: &High, errors: &mut Vec<Error>) -> Ordered {
    let index = Index::new(chunks);
    let mut graph = Graph::default();
    for draft in chunks {
        let chunk = &draft.chunk;
        let label = format!("{}{}{}", chunk.state, chunk.name, chunk.fun);
        graph.add(Vertex { tag: chunk.tag(), label, wish: draft.wish, name_order: draft.name_order });
    }
    let mut cap = 1.0;
    for draft in chunks {
        let before = errors.len();
        depend(&draft.chunk, high, &index, &mut graph, errors);
        if let (Wish::Number(n), true) = (draft.wish, errors.len() == before)
            && n.fract() == 0.0
            && n > cap - 1.0
            && n > 0.0
        {
            cap = n + 100.0;
        }
    }
    if !errors.is_empty() {
        return Ordered::default();
    }
    match graph.sort(cap) {
        Ok(sorted) => sorted,
        Err(cycle) => {
            errors.push(cycle_error(&cycle, chunks));
            Ordered::default()
        }
    }
}

fn depend(chunk: &Chunk, high: &High, index: &Index, graph: &mut Graph, errors: &mut Vec<Error>) {
    let tag = chunk.tag();
    for (edge, name) in Edge::ALL {
        let Some(Value::List(references)) = chunk.args.get(*name) else { continue };
        for value in references {
            let Some((kind, target)) = reference(value) else { continue };
            let Some(target) = target else {
                if !matches!(value.as_map().and_then(|m| m.first()), Some((_, Value::Null))) {
                    let message = format!(
                        "`{name}` of the ID '{}' names a {kind} by something that is no text",
                        chunk.id
                    );
                    errors.push(Error::new(Fault::Requisite(message)).at(place(chunk, name, high)));
                }
                continue;
            };
            match index.find(kind, target) {
                Some(found) => found.iter().for_each(|dependency| graph.depend(&tag, *edge, dependency)),
                None => errors.push(missing(chunk, name, kind, target, index, high)),
            }
        }
    }
}

/// Where a requisite of a chunk is written.
fn place(chunk: &Chunk, requisite: &str, high: &High) -> Origin {
    let body = high.decls.get(&chunk.id).and_then(|d| d.states.get(&chunk.state));
    let watch = requisite.replace("require", "watch");
    let named = |i: &&Item| i.key().is_some_and(|k| k == requisite || k == watch);
    let item = body.and_then(|b| b.items.iter().find(named));
    item.map_or_else(|| chunk.origin.clone(), |i| i.at.clone())
}

fn missing(chunk: &Chunk, requisite: &str, kind: &str, target: &str, index: &Index, high: &High) -> Error {
    let message = format!(
        "`{requisite}` of the ID '{}' in SLS '{}' names `{kind}: {target}`, which is not part of this run",
        chunk.id, chunk.sls
    );
    let kinds: Vec<&str> =
        index.by_state.keys().filter(|(k, n)| n == target && k != "id").map(|(k, _)| k.as_str()).collect();
    let help = match kinds.first() {
        Some(other) => format!("there is a `{other}: {target}`"),
        None if kind == "sls" && high.rendered.iter().any(|s| s == target) => {
            "that SLS is part of this run, but declares nothing".to_owned()
        }
        None => "check the spelling, and include the SLS that declares it".to_owned(),
    };
    Error::new(Fault::Requisite(message)).at(place(chunk, requisite, high)).help(help)
}

fn cycle_error(cycle: &[crate::order::CycleStep], chunks: &[Draft]) -> Error {
    let chunk = |tag: &str| chunks.iter().map(|d| &d.chunk).find(|c| c.tag() == *tag);
    let name = |tag: &str| {
        let tag = tag.trim_end_matches("_|-__prereq_test__");
        chunk(tag).map_or_else(|| tag.to_owned(), |c| format!("{} {} ({})", c.state, c.id, c.origin))
    };
    let steps: Vec<String> =
        cycle.iter().map(|(a, edge, b)| format!("{} needs {} by `{edge}`", name(a), name(b))).collect();
    let error = Error::new(Fault::Cycle(steps.join("; ")));
    let origin = cycle.first().and_then(|(tag, _, _)| chunk(tag)).map(|c| c.origin.clone());
    let error = origin.map_or_else(|| error.clone(), |at| error.clone().at(at));
    error.help("take one of these requisites out")
}

/// `listen_in` makes the state that it names listen.
fn listens(chunks: &mut [Chunk]) {
    let mut found: Vec<(String, String, Value)> = Vec::new();
    for chunk in chunks.iter() {
        let Some(Value::List(targets)) = chunk.args.get("listen_in") else { continue };
        let listened = Value::Map(Map::from([(chunk.state.clone(), Value::Str(chunk.id.clone()))]));
        for (kind, name) in targets.iter().filter_map(reference) {
            let Some(name) = name else { continue };
            found.push((kind.to_owned(), name.to_owned(), listened.clone()));
        }
    }
    for (kind, name, listened) in found {
        let target = |c: &&mut Chunk| (c.state == kind || kind == "id") && (c.id == name || c.name == name);
        for chunk in chunks.iter_mut().filter(target) {
            if !chunk.listened().contains(&listened) {
                chunk.listens.push(listened.clone());
            }
        }
    }
}
