//! `cp.*`: the files of the tree.

use super::{Call, Table, list_of};
use crate::files;
use crate::jinja::{Key, Py, Res, text};

pub(super) const FUNCTIONS: Table = &[
    ("cp.cache_file", cache_file),
    ("cp.envs", envs),
    ("cp.get_file_str", get_file_str),
    ("cp.get_url", get_url),
    ("cp.hash_file", hash_file),
    ("cp.is_cached", is_cached),
    ("cp.list_master", list_master),
    ("cp.list_master_dirs", list_master_dirs),
    ("cp.list_states", list_states),
];

/// A path of the tree and its environment, from `salt://path?saltenv=env` or an argument.
fn located(call: &Call<'_>, path: Option<Py>, saltenv: Option<Py>) -> Res<(String, Option<String>)> {
    let path = call.text("path", path)?;
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    Ok(match path.split_once("?saltenv=") {
        Some((path, env)) if !env.is_empty() => (path.to_owned(), Some(env.to_owned())),
        _ => (path, env),
    })
}

/// Where the file is: below the roots of the tree, or, for what is no `salt://`, on the machine.
fn full_path(call: &Call<'_>, path: &str, env: Option<&str>) -> Option<String> {
    let in_tree = path.strip_prefix("salt://")?;
    files::find(&call.scene.roots_of(env), in_tree).map(|p| p.display().to_string())
}

fn get_file_str(call: &mut Call<'_>) -> Res<Py> {
    let [path, saltenv] = call.bind(["path", "saltenv"])?;
    let (path, env) = located(call, path, saltenv)?;
    match path.strip_prefix("salt://") {
        Some(in_tree) => Ok(call.scene.tree_file(in_tree, env.as_deref())?.map_or(Py::Bool(false), Py::str)),
        None if path.starts_with('/') => call.scene.machine("file.read", vec![Py::str(path)]),
        None => Ok(Py::Bool(false)),
    }
}

/// The file's own path: a tree on this machine needs no cache.
fn cache_file(call: &mut Call<'_>) -> Res<Py> {
    let [path, saltenv, _, _, _] = call.bind(["path", "saltenv", "source_hash", "verify_ssl", "use_etag"])?;
    let (path, env) = located(call, path, saltenv)?;
    Ok(full_path(call, &path, env.as_deref()).map_or(Py::Bool(false), Py::str))
}

fn get_url(call: &mut Call<'_>) -> Res<Py> {
    let [path, dest, saltenv, _, _] = call.bind(["path", "dest", "saltenv", "makedirs", "source_hash"])?;
    let (path, env) = located(call, path, saltenv)?;
    if !path.starts_with("salt://") || dest.is_some_and(|d| d.truth()) {
        return crate::jinja::runtime("only a `salt://` address without `dest` can be fetched by a template");
    }
    Ok(full_path(call, &path, env.as_deref()).map_or(Py::Bool(false), Py::str))
}

fn is_cached(call: &mut Call<'_>) -> Res<Py> {
    let [path, saltenv] = call.bind(["path", "saltenv"])?;
    let (path, env) = located(call, path, saltenv)?;
    Ok(full_path(call, &path, env.as_deref()).map_or_else(|| Py::str(""), Py::str))
}

fn hash_file(call: &mut Call<'_>) -> Res<Py> {
    let [path, saltenv] = call.bind(["path", "saltenv"])?;
    let (path, env) = located(call, path, saltenv)?;
    let in_tree = path.strip_prefix("salt://").unwrap_or(&path);
    let Some(bytes) = call.scene.tree_bytes(in_tree, env.as_deref())? else {
        return Ok(Py::str(""));
    };
    let sum = crate::python::digests::hex_digest("sha256", &bytes).unwrap_or_default();
    let pairs = [("hash_type", "sha256".to_owned()), ("hsum", sum)];
    Ok(Py::dict(pairs.into_iter().map(|(k, v)| (Key::str(k), Py::str(v))).collect()))
}

fn envs(call: &mut Call<'_>) -> Res<Py> {
    Ok(list_of(call.scene.environments()))
}

fn list_states(call: &mut Call<'_>) -> Res<Py> {
    let [saltenv] = call.bind(["saltenv"])?;
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    let mut names = files::sls_names(&call.scene.roots_of(env.as_deref()));
    names.sort();
    names.dedup();
    Ok(list_of(names))
}

fn list_master(call: &mut Call<'_>) -> Res<Py> {
    listed(call, false)
}

fn list_master_dirs(call: &mut Call<'_>) -> Res<Py> {
    listed(call, true)
}

fn listed(call: &mut Call<'_>, directories: bool) -> Res<Py> {
    let [saltenv, prefix] = call.bind(["saltenv", "prefix"])?;
    let env = saltenv.filter(Py::truth).map(|e| text(&e));
    let prefix = prefix.map(|p| text(&p)).unwrap_or_default();
    let prefix = prefix.trim_matches('/');
    let mut names = files::listing(&call.scene.roots_of(env.as_deref()), directories);
    names.retain(|name| name.starts_with(prefix));
    Ok(list_of(names))
}
