//! From low state to what must be watched: the services that restart when a file of theirs changes.

use indexmap::IndexMap;

use crate::compile::reference;
use crate::low::{Chunk, LowState};
use crate::python::glob::{fnmatch, is_pattern};
use crate::value::Value;

/// What a change leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `service.running` without `reload`.
    Restart,
    /// `service.running` with `reload: True`.
    Reload,
}

/// One service and the files that it watches (or listens to).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Watch {
    /// The service's name.
    pub service: String,
    /// Paths on the machine, each once, in the order of the requisites.
    pub paths: Vec<String>,
    /// What a change leads to.
    pub action: Action,
}

/// The watches of every `service.running` with `watch`, `watch_any` or `listen` on `file` states, directly, by `sls:`,
/// by id or by pattern.
pub fn watches(low: &LowState) -> Vec<Watch> {
    let mut found: IndexMap<String, Watch> = IndexMap::new();
    let services = low.chunks.iter().filter(|c| c.state == "service" && c.fun == "running");
    for service in services {
        let paths = paths(service, low);
        if paths.is_empty() {
            continue;
        }
        let reload = service.arg("reload").and_then(Value::as_bool) == Some(true);
        let action = if reload { Action::Reload } else { Action::Restart };
        let entry = found.entry(service.name.clone());
        let watch =
            entry.or_insert_with(|| Watch { service: service.name.clone(), paths: Vec::new(), action });
        let new: Vec<String> = paths.into_iter().filter(|p| !watch.paths.contains(p)).collect();
        watch.paths.extend(new);
    }
    found.into_values().collect()
}

/// `file` functions that leave what a file holds to others.
const LEAVING: &[&str] = &[
    "accumulated",
    "cached",
    "copy",
    "exists",
    "missing",
    "mknod",
    "not_cached",
    "prune",
    "rename",
    "retention_schedule",
    "tidied",
    "touch",
];
/// Requisites of steps that hold only now and then.
const SOMETIMES: &[&str] = &["onchanges", "onchanges_any", "onfail", "onfail_any", "onfail_all", "prereq"];

/// Whether the step holds the content of its path, or of all below it, each time that it is run.
pub fn keeps(chunk: &Chunk) -> bool {
    chunk.state == "file"
        && chunk.name.starts_with('/')
        && !LEAVING.contains(&chunk.fun.as_str())
        && !is_shell(chunk)
        && !SOMETIMES.iter().any(|key| chunk.arg(key).is_some())
}

/// A directory whose content is nobody's: only that it is there, and whose.
fn is_shell(chunk: &Chunk) -> bool {
    chunk.fun == "directory" && chunk.arg("clean").and_then(Value::as_bool) != Some(true)
}

fn paths(service: &Chunk, low: &LowState) -> Vec<String> {
    let lists = ["watch", "watch_any"].iter().filter_map(|r| service.arg(r)).filter_map(Value::as_list);
    let all = [lists.flatten().cloned().collect(), service.listened()].concat();
    let references = all.iter().filter_map(reference).filter_map(|(kind, name)| Some((kind, name?)));
    let mut all = Vec::new();
    for (kind, name) in references {
        // A service may write into a directory of its own: that is no change that a converge would make.
        let files = low.chunks.iter().filter(|c| c.state == "file" && c.fun != "absent" && !is_shell(c));
        all.extend(files.filter(|c| means(c, kind, name)).map(|c| c.name.clone()));
    }
    let mut unique: Vec<String> = Vec::new();
    for path in all {
        if path.starts_with('/') && !unique.contains(&path) {
            unique.push(path);
        }
    }
    unique
}

/// Whether a reference means this chunk.
fn means(chunk: &Chunk, kind: &str, name: &str) -> bool {
    let fits = |text: &str| text == name || (is_pattern(name) && fnmatch(text, name));
    match kind {
        "sls" => {
            let included = chunk.arg("__sls_included_from__").and_then(Value::as_list).unwrap_or_default();
            fits(&chunk.sls) || included.iter().filter_map(Value::as_str).any(fits)
        }
        "id" => fits(&chunk.id) || fits(&chunk.name),
        kind => kind == chunk.state && (fits(&chunk.id) || fits(&chunk.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    fn chunk(state: &str, fun: &str, name: &str, args: &[(&str, Value)]) -> Chunk {
        let args: Map = args.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let text = str::to_owned;
        Chunk {
            state: text(state),
            fun: text(fun),
            name: text(name),
            id: text(name),
            sls: text("app"),
            args,
            ..Chunk::default()
        }
    }

    fn reference(kind: &str, name: &str) -> Value {
        Value::List(vec![Value::Map(Map::from([(kind.to_owned(), Value::Str(name.to_owned()))]))])
    }

    #[test]
    fn a_directory_that_a_service_may_write_into_is_not_watched() {
        let watch = [("watch", reference("sls", "app"))];
        let low = LowState {
            chunks: vec![
                chunk("file", "managed", "/etc/app.conf", &[]),
                chunk("file", "directory", "/var/lib/app", &[]),
                chunk("file", "directory", "/etc/app.d", &[("clean", Value::Bool(true))]),
                chunk("file", "recurse", "/srv/app", &[]),
                chunk("service", "running", "app", &watch),
            ],
            ..LowState::default()
        };
        assert_eq!(watches(&low)[0].paths, ["/etc/app.conf", "/etc/app.d", "/srv/app"]);
    }

    #[test]
    fn steps_that_hold_a_content_are_told_from_those_that_do_not() {
        for (fun, args, expected) in [
            ("managed", vec![], true),
            ("absent", vec![], true),
            ("directory", vec![], false),
            ("directory", vec![("clean", Value::Bool(true))], true),
            ("touch", vec![], false),
            ("managed", vec![("onchanges", reference("file", "x"))], false),
            ("managed", vec![("require", reference("file", "x"))], true),
        ] {
            assert_eq!(keeps(&chunk("file", fun, "/etc/x", &args)), expected, "{fun} {args:?}");
        }
        assert!(!keeps(&chunk("cmd", "run", "/bin/true", &[])));
    }

    #[test]
    fn steps_alone_require_nothing() {
        let low = LowState {
            chunks: vec![
                chunk("cmd", "run", "/bin/true", &[]),
                chunk("file", "managed", "/etc/x", &[("require", reference("cmd", "/bin/true"))]),
            ],
            listing: vec![0, 1],
            ..LowState::default()
        };
        let alone = low.alone(|chunk| chunk.state == "file");
        assert_eq!((alone.chunks.len(), alone.listing), (1, vec![0]));
        assert!(alone.chunks[0].args.is_empty());
    }
}
