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

fn paths(service: &Chunk, low: &LowState) -> Vec<String> {
    let lists = ["watch", "watch_any"].iter().filter_map(|r| service.arg(r)).filter_map(Value::as_list);
    let all = [lists.flatten().cloned().collect(), service.listened()].concat();
    let references = all.iter().filter_map(reference).filter_map(|(kind, name)| Some((kind, name?)));
    let mut all = Vec::new();
    for (kind, name) in references {
        let files = low.chunks.iter().filter(|c| c.state == "file" && c.fun != "absent");
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
