//! `config.*`: options, then grains, then pillar.

use super::traverse::traverse_key;
use super::{Call, Table, text_or, traverse};
use crate::jinja::{Dict, Key, Py, Res, flag, runtime, text};
use crate::merge;
use crate::python::glob::fnmatch;

pub(super) const FUNCTIONS: Table = &[
    ("config.backup_mode", backup_mode),
    ("config.dot_vals", dot_vals),
    ("config.get", get),
    ("config.items", items),
    ("config.manage_mode", manage_mode),
    ("config.merge", merge_option),
    ("config.option", option),
    ("config.valid_fileproto", valid_fileproto),
];

/// What Salt answers when nobody configured it, as far as trees ask for it.
const DEFAULTS: &[(&str, &str)] = &[
    ("aliases.file", "/etc/aliases"),
    ("ca.cert_base_path", "/etc/pki"),
    ("docker.exec_driver", "docker-exec"),
    ("hosts.file", "/etc/hosts"),
    ("poudriere.config", "/usr/local/etc/poudriere.conf"),
    ("poudriere.config_dir", "/usr/local/etc/poudriere.d"),
    ("test.foo", "unconfigured"),
];

fn defaults() -> Py {
    Py::dict(DEFAULTS.iter().map(|(k, v)| (Key::str(*k), Py::str(*v))).collect())
}

fn master(call: &Call<'_>) -> Py {
    call.known().pillar.item("master").unwrap_or_else(|| Py::dict(Dict::new()))
}

fn get(call: &mut Call<'_>) -> Res<Py> {
    let names =
        ["key", "default", "delimiter", "merge", "omit_opts", "omit_pillar", "omit_master", "omit_grains"];
    let [key, default, delimiter, merging, no_opts, no_pillar, no_master, no_grains] = call.bind(names)?;
    let key = call.required("key", key)?;
    let delimiter = text_or(delimiter.as_ref(), ":");
    let known = call.known();
    let omit = |flagged: &Option<Py>| flag(flagged.as_ref(), false);
    let found = match merging.filter(|m| !matches!(m, Py::None)) {
        Some(merging) => merged(call, &key, &delimiter, &text(&merging))?,
        None => {
            let sources = [
                (&known.opts, omit(&no_opts)),
                (&known.grains, omit(&no_grains)),
                (&known.pillar, omit(&no_pillar)),
                (&master(call), omit(&no_master)),
                (&defaults(), false),
            ];
            let mut asked = sources.into_iter().filter(|(_, omit)| !omit);
            asked.find_map(|(source, _)| traverse_key(source, &key, &delimiter))
        }
    };
    match found {
        Some(Py::Str(text)) if text.starts_with("sdb://") => {
            runtime(format!("{} is in a secrets database, which is not supported", super::text(&key)))
        }
        Some(found) => Ok(found),
        None => Ok(default.unwrap_or_else(|| Py::str(""))),
    }
}

/// All sources merged, options last and so on top. Only the entry that the path starts with is merged: the rest of it
/// could not be seen.
fn merged(call: &Call<'_>, key: &Py, delimiter: &str, strategy: &str) -> Res<Option<Py>> {
    let first = match key {
        Py::Str(path) => path.split(delimiter).next().unwrap_or_default().to_owned(),
        other => text(other),
    };
    let known = call.known();
    let mut all = Py::dict(Dict::new());
    for source in [&defaults(), &master(call), &known.pillar, &known.grains, &known.opts] {
        if let Some(value) = traverse(source, &first, "") {
            let one = Py::dict([(Key::str(first.as_str()), value)].into_iter().collect());
            all = merge::update(&all.deep_copy(), &one, strategy != "overwrite", false)?;
        }
    }
    Ok(traverse_key(&all, key, delimiter))
}

fn option(call: &mut Call<'_>) -> Res<Py> {
    let names = [
        "value",
        "default",
        "omit_opts",
        "omit_grains",
        "omit_pillar",
        "omit_master",
        "omit_all",
        "wildcard",
    ];
    let [value, default, no_opts, no_grains, no_pillar, no_master, none, wildcard] = call.bind(names)?;
    let value = call.text("value", value)?;
    let wildcard = flag(wildcard.as_ref(), false);
    let known = call.known();
    let wanted = |omit: Option<Py>| !flag(none.as_ref(), false) && !flag(omit.as_ref(), false);
    let sources = [
        (known.opts.clone(), wanted(no_opts)),
        (known.grains.clone(), wanted(no_grains)),
        (known.pillar.clone(), wanted(no_pillar)),
        (master(call), wanted(no_master)),
        (defaults(), true),
    ];
    let mut sources = sources.into_iter().filter(|(_, wanted)| *wanted).map(|(source, _)| source);
    let default = default.filter(|d| !matches!(d, Py::None));
    if !wildcard {
        let found = sources.find_map(|source| source.item(&value));
        return Ok(found.or(default).unwrap_or_else(|| Py::str("")));
    }
    let found = Py::dict(wild(&sources.collect::<Vec<_>>(), &value));
    Ok(if found.truth() { found } else { default.unwrap_or(found) })
}

/// Everything whose name fits, the first source winning.
fn wild(sources: &[Py], pattern: &str) -> Dict {
    let mut found = Dict::new();
    for source in sources.iter().rev() {
        let Py::Dict(source) = source else { continue };
        let source = source.borrow();
        let fitting = source.iter().filter(|(k, _)| fnmatch(&text(k.value()), pattern));
        found.extend(fitting.map(|(k, v)| (k.clone(), v.clone())));
    }
    found
}

/// Options, `pillar:master` and pillar: mappings and lists of all of them together, of anything else the first.
fn merge_option(call: &mut Call<'_>) -> Res<Py> {
    let [value, default, no_opts, no_master, no_pillar] =
        call.bind(["value", "default", "omit_opts", "omit_master", "omit_pillar"])?;
    let value = call.text("value", value)?;
    let sources = [
        (call.known().opts.clone(), no_opts),
        (master(call), no_master),
        (call.known().pillar.clone(), no_pillar),
    ];
    let asked = sources.into_iter().filter(|(_, omit)| !flag(omit.as_ref(), false));
    let mut result: Option<Py> = None;
    for found in asked.filter_map(|(source, _)| source.item(&value)) {
        result = Some(match (result, &found) {
            (None, Py::Str(_)) => return Ok(found),
            (None, _) => found,
            (Some(old @ Py::Dict(_)), Py::Dict(_)) => merge::update(&found.deep_copy(), &old, false, false)?,
            (Some(Py::List(old)), Py::List(more)) => {
                Py::list(old.borrow().iter().chain(more.borrow().iter()).cloned().collect())
            }
            (Some(old), _) => old,
        });
    }
    let result = result.or_else(|| defaults().item(&value));
    Ok(result.unwrap_or_else(|| default.unwrap_or_else(|| Py::str(""))))
}

fn items(call: &mut Call<'_>) -> Res<Py> {
    Ok(call.known().opts.clone())
}

fn dot_vals(call: &mut Call<'_>) -> Res<Py> {
    let [value] = call.bind(["value"])?;
    let prefix = format!("{}.", call.text("value", value)?);
    let mut found = Dict::new();
    for source in [master(call), call.known().opts.clone()] {
        let Py::Dict(source) = source else { continue };
        let source = source.borrow();
        let fitting = source.iter().filter(|(k, _)| text(k.value()).starts_with(&prefix));
        found.extend(fitting.map(|(k, v)| (k.clone(), v.clone())));
    }
    Ok(Py::dict(found))
}

fn backup_mode(call: &mut Call<'_>) -> Res<Py> {
    let [backup] = call.bind(["backup"])?;
    let own = call.known().opts.item("backup_mode").unwrap_or_else(|| Py::str(""));
    Ok(backup.filter(Py::truth).unwrap_or(own))
}

/// A file mode as four digits.
fn manage_mode(call: &mut Call<'_>) -> Res<Py> {
    let [mode] = call.bind(["mode"])?;
    let mode = call.required("mode", mode)?;
    if matches!(mode, Py::None) {
        return Ok(Py::None);
    }
    let mode = text(&mode).replace("0o", "0");
    let digits = mode.trim_matches('"').trim_matches('\'').trim_start_matches('0');
    Ok(Py::str(format!("{digits:0>4}")))
}

fn valid_fileproto(call: &mut Call<'_>) -> Res<Py> {
    let [uri] = call.bind(["uri"])?;
    let uri = call.text("uri", uri)?;
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_lowercase();
    Ok(Py::Bool(["salt", "file", "http", "https", "ftp", "swift", "s3"].contains(&scheme.as_str())))
}
