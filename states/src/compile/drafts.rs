//! High data to chunks, in the order written: arguments gathered, `names` multiplied.

use std::hash::{Hash, Hasher};

use indexmap::IndexSet;

use crate::compile::high::{Body, Decl, High, Item};
use crate::compile::order::Wish;
use crate::error::{Error, Fault};
use crate::low::Chunk;
use crate::value::{Map, Value};

/// A chunk that is being made.
pub(crate) struct Draft {
    pub(crate) chunk: Chunk,
    pub(crate) wish: Wish,
    /// Position among `names`, from 1; 0 without.
    pub(crate) name_order: u32,
    pub(crate) included_from: Vec<String>,
}

/// The most chunks of one run, and the most values in all of them: more would not fit an instance's memory.
const MOST_CHUNKS: usize = 200_000;
const MOST_VALUES: usize = 5_000_000;

/// The chunks of high data, in the order written.
///
/// # Errors
/// They are more than an instance could hold.
pub(crate) fn chunks(high: &High) -> Result<Vec<Draft>, Error> {
    let (mut all, mut values) = (Vec::new(), 0usize);
    for (id, decl) in &high.decls {
        for (state, body) in &decl.states {
            let weight: usize = body.items.iter().map(|item| weight(&item.value)).sum();
            let times =
                body.items.iter().map(|item| names_of(item).map_or(0, <[Value]>::len)).sum::<usize>().max(1);
            values = values.saturating_add(weight.saturating_mul(times));
            if values > MOST_VALUES || all.len() + times > MOST_CHUNKS {
                let message = format!(
                    "the states of one run are more than {MOST_CHUNKS}, or hold more than {MOST_VALUES} values"
                );
                return Err(Error::new(Fault::Limit(message)).at(body.at.clone()));
            }
            state_chunks(id, decl, state, body, &mut all);
        }
    }
    Ok(all)
}

/// The `names` that an item brings.
fn names_of(item: &Item) -> Option<&[Value]> {
    item.value.as_map()?.get("names")?.as_list()
}

/// How many values a value is made of.
fn weight(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Map(map) => 1 + map.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}

fn state_chunks(id: &str, decl: &Decl, state: &str, body: &Body, all: &mut Vec<Draft>) {
    let mut args = Map::from([("name".to_owned(), Value::Str(id.to_owned()))]);
    let mut names: IndexSet<Name<'_>> = IndexSet::new();
    for (key, value) in body.items.iter().filter_map(|i| i.value.as_map()).flatten() {
        match key.as_str() {
            "names" => {
                names.extend(value.as_list().unwrap_or_default().iter().map(Name));
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
    for (index, name) in names.iter().map(|Name(name)| *name).enumerate() {
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

/// An entry of `names`: the same one twice is one.
#[derive(PartialEq)]
struct Name<'v>(&'v Value);

impl Eq for Name<'_> {}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Only texts are many; whatever else there is shares a place.
        self.0.as_str().hash(state);
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
