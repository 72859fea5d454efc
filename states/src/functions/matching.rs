//! `match.*`: whether this minion is meant.

use super::{Call, Table, flag_of, text_or};
use crate::jinja::{Dict, Key, Py, Res, iterate, runtime, text};
use crate::merge;
use crate::targets::{self, Subject};

pub(super) const FUNCTIONS: Table = &[
    ("match.compound", with_id),
    ("match.filter_by", filter_by),
    ("match.glob", with_id),
    ("match.grain", with_delimiter),
    ("match.grain_pcre", with_delimiter),
    ("match.ifelse", ifelse),
    ("match.ipcidr", alone),
    ("match.list", with_id),
    ("match.pcre", with_id),
    ("match.pillar", with_delimiter),
    ("match.pillar_pcre", with_delimiter),
    ("match.search_by", search_by),
];

/// Whether a target means this minion, or the minion of another id with the same grains and pillar. What cannot be
/// read means nobody, as in Salt.
fn means(call: &Call<'_>, kind: &str, target: &str, id: Option<&str>) -> bool {
    let (known, minion) = (call.known(), call.scene.minion());
    let subject = Subject {
        id: id.unwrap_or(&minion.id),
        grains: &known.grains,
        pillar: &known.pillar,
        nodegroups: &minion.options.nodegroups,
    };
    targets::matches(&subject, kind, target).unwrap_or(false)
}

fn kind<'n>(call: &Call<'n>) -> &'n str {
    call.name.strip_prefix("match.").unwrap_or(call.name)
}

fn with_id(call: &mut Call<'_>) -> Res<Py> {
    let [target, id] = call.bind(["tgt", "minion_id"])?;
    let target = target_text(call, target)?;
    let id = id.filter(|id| !matches!(id, Py::None)).map(|id| text(&id));
    Ok(Py::Bool(means(call, kind(call), &target, id.as_deref())))
}

fn with_delimiter(call: &mut Call<'_>) -> Res<Py> {
    let [target, delimiter] = call.bind(["tgt", "delimiter"])?;
    let target = target_text(call, target)?;
    let delimiter = text_or(delimiter.as_ref(), ":");
    if delimiter != ":" && target.contains(':') {
        return runtime("a `:` in a target with another delimiter is not supported");
    }
    Ok(Py::Bool(means(call, kind(call), &target.replace(&delimiter, ":"), None)))
}

fn alone(call: &mut Call<'_>) -> Res<Py> {
    let [target] = call.bind(["tgt"])?;
    let target = target_text(call, target)?;
    Ok(Py::Bool(means(call, kind(call), &target, None)))
}

/// A target; a list of them is as good as its texts with commas.
fn target_text(call: &Call<'_>, target: Option<Py>) -> Res<String> {
    let target = call.required("tgt", target)?;
    Ok(match &target {
        Py::List(all) if kind(call) == "list" => all.borrow().iter().map(text).collect::<Vec<_>>().join(","),
        Py::List(all) => all.borrow().iter().map(text).collect::<Vec<_>>().join(" "),
        other => text(other),
    })
}

const KINDS: &[&str] =
    &["compound", "ipcidr", "pillar_pcre", "pillar", "grain_pcre", "grain", "list", "pcre", "glob"];

fn known_kind(kind: Option<&Py>) -> Res<String> {
    let kind = text_or(kind, "compound");
    match KINDS.contains(&kind.as_str()) {
        true => Ok(kind),
        false => runtime(format!("there is no kind of match `{kind}`")),
    }
}

fn filter_by(call: &mut Call<'_>) -> Res<Py> {
    let names = ["lookup", "tgt_type", "minion_id", "merge", "merge_lists", "default"];
    let [lookup, kind, id, merge, lists, default] = call.bind(names)?;
    let lookup = call.required("lookup", lookup)?;
    let choice = Choice {
        kind: known_kind(kind.as_ref())?,
        id: id.filter(Py::truth).map(|id| text(&id)),
        merge: merge.filter(Py::truth),
        merge_lists: flag_of(&lists, false),
    };
    let default = default.unwrap_or_else(|| Py::str("default"));
    choice.of(call, &lookup, &default)
}

/// How an entry is chosen by target.
struct Choice {
    kind: String,
    id: Option<String>,
    merge: Option<Py>,
    merge_lists: bool,
}

impl Choice {
    fn of(&self, call: &Call<'_>, lookup: &Py, default: &Py) -> Res<Py> {
        let Py::Dict(entries) = lookup else {
            return runtime(format!("the look-up must be a mapping, not {}", lookup.type_name()));
        };
        let entries = entries.borrow().clone();
        let fits = |key: &Key| means(call, &self.kind, &text(key.value()), self.id.as_deref());
        let Some((_, found)) = entries.iter().find(|(key, _)| fits(key)) else {
            let default = Key::new(default.clone()).ok();
            return Ok(default.and_then(|key| entries.get(&key).cloned()).unwrap_or(Py::None));
        };
        match &self.merge {
            None => Ok(found.clone()),
            Some(Py::Dict(_)) if matches!(found, Py::None) => Ok(self.merge.clone().unwrap_or(Py::None)),
            Some(more @ Py::Dict(_)) => merge::update(found, &more.deep_copy(), true, self.merge_lists),
            Some(_) => runtime("filter_by merge argument must be a dictionary."),
        }
    }
}

fn search_by(call: &mut Call<'_>) -> Res<Py> {
    let [lookup, kind, id] = call.bind(["lookup", "tgt_type", "minion_id"])?;
    let lookup = call.required("lookup", lookup)?;
    let kind = known_kind(kind.as_ref())?;
    let id = id.filter(Py::truth).map(|id| text(&id));
    let Py::Dict(entries) = &lookup else {
        return runtime(format!("the look-up must be a mapping, not {}", lookup.type_name()));
    };
    let mut found = Vec::new();
    for (key, targets) in entries.borrow().iter() {
        let hits = iterate(targets)?.iter().filter(|t| means(call, &kind, &text(t), id.as_deref())).count();
        found.extend(std::iter::repeat_n(key.value().clone(), hits));
    }
    Ok(if found.is_empty() { Py::None } else { Py::list(found) })
}

/// `ifelse(target, value, target, value, …, otherwise)`.
fn ifelse(call: &mut Call<'_>) -> Res<Py> {
    let named = |name: &str| call.args.named.iter().find(|(n, _)| &**n == name).map(|(_, v)| v.clone());
    let choice = Choice {
        kind: known_kind(named("tgt_type").as_ref())?,
        id: named("minion_id").filter(Py::truth).map(|id| text(&id)),
        merge: named("merge").filter(Py::truth),
        merge_lists: flag_of(&named("merge_lists"), false),
    };
    let Some((otherwise, pairs)) = call.args.positional.split_last().filter(|(_, p)| p.len() % 2 == 0) else {
        return runtime("The ifelse function must have an odd number of arguments!");
    };
    if pairs.is_empty() {
        return Ok(otherwise.clone());
    }
    let mut lookup = Dict::new();
    for pair in pairs.chunks_exact(2) {
        let key = match &pair[0] {
            Py::Bool(true) => Py::str("*"),
            Py::Bool(false) => Py::str("SALT_IFELSE_MATCH_NOTHING"),
            other => other.clone(),
        };
        lookup.insert(Key::new(key).or_else(runtime)?, pair[1].clone());
    }
    const OTHERWISE: &str = "SALT_IFELSE_FUNCTION_DEFAULT";
    lookup.insert(Key::str(OTHERWISE), otherwise.clone());
    choice.of(call, &Py::dict(lookup), &Py::str(OTHERWISE))
}
