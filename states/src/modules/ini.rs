//! `ini.options_present`, `ini.options_absent`, `ini.sections_present` and `ini.sections_absent`.

use crate::engine::step::{Call, Failure};
use crate::modules::args::{Args, scalar};
use crate::modules::ini_file::{self, Entry, Section, Style, is_remark, plain};
use crate::modules::textfile::{Edited, Editor, TextFile, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] = &["sections", "separator", "strict", "encoding", "no_spaces"];
pub(crate) const OTHERS: &[&str] = &["sections", "separator", "encoding"];

/// What is asked of a file.
pub(crate) struct Want {
    name: String,
    sections: Map,
    style: Style,
    strict: bool,
}

fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let encoding = args.text("encoding")?.map(|e| e.to_lowercase().replace('_', "-"));
    if !matches!(encoding.as_deref(), None | Some("utf-8" | "utf8" | "ascii")) {
        return Err(Failure::declaration("`encoding` can only be utf-8"));
    }
    let separator = match args.get("separator") {
        None => "=".to_owned(),
        Some(_) => args.text("separator")?.unwrap_or_default(),
    };
    let style = Style::new(&separator, !args.flag("no_spaces", false)?);
    Ok(Want {
        name: call.chunk.name.clone(),
        sections: args.map("sections")?.unwrap_or_default(),
        style: style.ok_or_else(|| Failure::declaration("`separator` must be one line of text"))?,
        strict: args.flag("strict", false)?,
    })
}

fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
    TextFile::read(&want.name, roots(0o644), call)
}

/// Text as Python has it, on one line or with further lines indented.
fn text(value: &Value) -> Result<String, Failure> {
    let text = match value {
        Value::Null => Some("None".to_owned()),
        other => scalar(other),
    };
    text.ok_or_else(|| Failure::declaration("the value of an option must be text"))
}

fn section(body: &Map) -> Result<Section, Failure> {
    body.iter().map(|(key, value)| Ok((key.clone(), Entry::Text(text(value)?)))).collect()
}

/// What comes of an edit of the sections.
fn edited(want: &Want, file: &Section, changes: Map) -> Edited {
    match changes.is_empty() {
        true => Edited::Same("No anomaly detected".to_owned()),
        false => Edited::To {
            text: ini_file::render(file, &want.style),
            changes,
            would: format!("{} would be changed", want.name),
            done: "Changes take effect".to_owned(),
        },
    }
}

/// `ini.options_present`.
pub(crate) struct OptionsPresent;

impl Editor for OptionsPresent {
    type Want = (Want, Section);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let want = want(args, call)?;
        let mut all = Section::new();
        for (name, value) in &want.sections {
            let entry = match value {
                Value::Map(body) => Entry::Section(section(body)?),
                Value::List(_) => Entry::Section(section(&listed(value)?)?),
                other => Entry::Text(text(other)?),
            };
            all.insert(name.clone(), entry);
        }
        Ok((want, all))
    }

    fn file((want, _): &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit((want, wanted): &Self::Want, text: &str) -> Edited {
        let mut now = ini_file::parse(text, &want.style);
        let mut changes = Map::new();
        if want.strict && !wanted.is_empty() {
            strip(&mut now, wanted, &mut changes);
        }
        for (key, entry) in wanted {
            let change = ini_file::set(&mut now, key, entry.clone(), &want.style);
            match (changes.get_mut(key), change) {
                (Some(Value::Map(all)), Some(Value::Map(more))) => all.extend(more),
                (_, Some(change)) => drop(changes.insert(key.clone(), change)),
                (_, None) => {}
            }
        }
        edited(want, &now, changes)
    }
}

/// A list of one-key mappings as one.
fn listed(value: &Value) -> Result<Map, Failure> {
    let wrong = || Failure::declaration("a section must be a mapping of options");
    crate::modules::args::joined(value).ok_or_else(wrong)
}

/// Take away every option and section that is not declared.
fn strip(now: &mut Section, wanted: &Section, changes: &mut Map) {
    let gone = |entry: &Entry| {
        Value::Map(Map::from([("before".to_owned(), plain(entry)), ("after".to_owned(), Value::Null)]))
    };
    let same_kind = |key: &str, entry: &Entry| match (wanted.get(key), entry) {
        (Some(Entry::Section(_)), Entry::Section(_)) | (Some(Entry::Text(_)), Entry::Text(_)) => true,
        _ => is_remark(key),
    };
    now.retain(|key, entry| {
        let keep = same_kind(key, entry);
        if !keep {
            changes.insert(key.clone(), gone(entry));
        }
        keep
    });
    for (key, entry) in now.iter_mut() {
        let (Entry::Section(body), Some(Entry::Section(wanted))) = (entry, wanted.get(key)) else { continue };
        let mut inner = Map::new();
        body.retain(|option, entry| {
            let keep = is_remark(option) || wanted.contains_key(option);
            if !keep {
                inner.insert(option.clone(), gone(entry));
            }
            keep
        });
        if !inner.is_empty() {
            changes.insert(key.clone(), Value::Map(inner));
        }
    }
}

/// `ini.options_absent`.
pub(crate) struct OptionsAbsent;

impl Editor for OptionsAbsent {
    type Want = (Want, Vec<(String, Option<Vec<String>>)>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let want = want(args, call)?;
        let wrong = || Failure::declaration("`sections` must be a mapping of sections to lists of options");
        let keys = |value: &Value| match value {
            Value::List(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Some),
            Value::Map(map) => Some(Some(map.keys().cloned().collect())),
            _ => Some(None),
        };
        let all = want.sections.iter().map(|(name, value)| Some((name.clone(), keys(value)?)));
        let all = all.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok((want, all))
    }

    fn file((want, _): &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit((want, unwanted): &Self::Want, text: &str) -> Edited {
        let mut now = ini_file::parse(text, &want.style);
        let mut changes = Map::new();
        for (name, options) in unwanted {
            match (options, now.get_mut(name)) {
                (Some(options), Some(Entry::Section(body))) => {
                    let gone: Map = options
                        .iter()
                        .filter_map(|o| Some((o.clone(), plain(&body.shift_remove(o)?))))
                        .collect();
                    if !gone.is_empty() {
                        changes.insert(name.clone(), Value::Map(gone));
                    }
                }
                (None, Some(Entry::Text(value))) => {
                    changes.insert(name.clone(), Value::Str(value.clone()));
                    now.shift_remove(name);
                }
                _ => {}
            }
        }
        edited(want, &now, changes)
    }
}

/// Names of sections: a list, or the keys of a mapping.
fn names(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    match args.get("sections") {
        Some(Value::Map(map)) => Ok(map.keys().cloned().collect()),
        _ => Ok(args.list("sections")?.unwrap_or_default()),
    }
}

fn plain_want(args: &Args<'_>, call: &Call<'_>) -> Result<(Want, Vec<String>), Failure> {
    let names = names(args)?;
    let own: Map = call
        .chunk
        .args
        .iter()
        .filter(|(k, _)| *k != "sections")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok((want(&Args::new(&own), call)?, names))
}

/// `ini.sections_present`.
pub(crate) struct SectionsPresent;

impl Editor for SectionsPresent {
    type Want = (Want, Vec<String>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        plain_want(args, call)
    }

    fn file((want, _): &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit((want, names): &Self::Want, text: &str) -> Edited {
        let mut now = ini_file::parse(text, &want.style);
        let mut changes = Map::new();
        for name in names {
            if let Some(change) = ini_file::set(&mut now, name, Entry::Section(Section::new()), &want.style) {
                changes.insert(name.clone(), change);
            }
        }
        edited(want, &now, changes)
    }
}

/// `ini.sections_absent`.
pub(crate) struct SectionsAbsent;

impl Editor for SectionsAbsent {
    type Want = (Want, Vec<String>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        plain_want(args, call)
    }

    fn file((want, _): &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        file(want, call)
    }

    fn edit((want, names): &Self::Want, text: &str) -> Edited {
        let mut now = ini_file::parse(text, &want.style);
        let mut changes = Map::new();
        for name in names {
            if let Some(Entry::Section(_)) = now.get(name)
                && let Some(entry) = now.shift_remove(name)
            {
                changes.insert(name.clone(), plain(&entry));
            }
        }
        edited(want, &now, changes)
    }
}
