//! User-data as it is written: keys known, values not yet checked, positions kept. Pure.

use super::Error;
use super::envelope::Document;
use mayfly_states::nearest::nearest;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// So many characters of a key are shown.
const SHOWN: usize = 100;

type At<T> = Option<Spanned<T>>;

/// The document as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUserData {
    pub(super) role: At<String>,
    pub(super) environment: At<String>,
    pub(super) id: At<String>,
    pub(super) deployment: At<String>,
    pub(super) states: At<RawStates>,
    pub(super) pillar: At<serde_json::Value>,
    pub(super) grains: At<serde_json::Value>,
    pub(super) saltenv: At<String>,
    pub(super) nodegroups: At<serde_json::Value>,
    pub(super) options: Option<BTreeMap<String, Spanned<serde_json::Value>>>,
    pub(super) schedule: At<String>,
    pub(super) splay: At<String>,
    pub(super) drift: At<String>,
    pub(super) listen: At<String>,
    pub(super) supervisor: At<String>,
    pub(super) watch: Option<Vec<Spanned<RawRule>>>,
    pub(super) finish: At<String>,
    /// The deployer's own notes.
    #[serde(rename = "record")]
    pub(super) _record: Option<serde::de::IgnoredAny>,
}

/// The key `states`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStates {
    pub(super) url: At<String>,
    #[serde(rename = "ref")]
    pub(super) reference: At<String>,
    pub(super) commit: At<String>,
    pub(super) follow: At<bool>,
    pub(super) file_root: At<String>,
    pub(super) pillar_root: At<String>,
    pub(super) file_roots: At<serde_json::Value>,
    pub(super) pillar_roots: At<serde_json::Value>,
    pub(super) token_file: At<String>,
    pub(super) ssh_key_file: At<String>,
    pub(super) known_hosts_file: At<String>,
    pub(super) mirrors: Option<Vec<Spanned<String>>>,
    pub(super) token: At<serde_json::Value>,
    pub(super) ssh_key: At<serde_json::Value>,
    pub(super) github_app: At<RawApp>,
    pub(super) proxy: At<String>,
    pub(super) signed_by: Option<Vec<Spanned<String>>>,
    pub(super) submodules: At<bool>,
    pub(super) formulas: Option<Vec<Spanned<RawFormula>>>,
}

/// The key `states.github_app`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApp {
    pub(super) id: serde_json::Value,
    pub(super) installation: u64,
    pub(super) key: serde_json::Value,
    pub(super) api: Option<String>,
}

/// One of `states.formulas`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFormula {
    pub(super) url: String,
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) root: Option<String>,
    pub(super) name: Option<String>,
    pub(super) signed_by: Option<Vec<String>>,
}

/// One watch rule, in user-data or in pillar.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) name: Option<String>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) service: Option<String>,
    pub(super) action: Option<String>,
    pub(super) debounce: Option<String>,
    pub(super) check: Option<String>,
    pub(super) rate: Option<String>,
    pub(super) on_edit: Option<String>,
}

#[derive(Debug, Deserialize)]
struct CloudConfig {
    mayfly: Option<RawUserData>,
}

/// Reads the YAML.
pub(super) fn read(document: &Document) -> Result<RawUserData, Error> {
    if document.nested {
        let outer: CloudConfig = yaml(document)?;
        return outer
            .mayfly
            .ok_or_else(|| Error::Absent(format!("{}: the key `mayfly:` is empty", document.name)));
    }
    yaml(document)
}

fn yaml<T: for<'de> Deserialize<'de>>(document: &Document) -> Result<T, Error> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(&document.text, options).map_err(|e| place(&e, document))
}

/// Our words for what the YAML reader found, with its place.
fn place(error: &serde_saphyr::Error, document: &Document) -> Error {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), |l| (l.line().max(1), l.column().max(1)));
    let message = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{}` is there twice; keep one", shown(key))
        }
        serde_saphyr::Error::DuplicateMappingKey { .. } => "a key is there twice; keep one".to_owned(),
        other => {
            let text = other.to_string();
            // The reader appends its own wording of the place; ours stands in front already.
            text.split(" at line ").next().unwrap_or(&text).lines().next().unwrap_or_default().to_owned()
        }
    };
    Error::At { source_name: document.name.clone(), line, column, message }
}

/// The message for a key nobody knows, with the nearest one that is.
pub(super) fn unknown_key(key: &str, valid: &[&str]) -> String {
    match nearest(key, valid.iter().copied()) {
        Some(near) => format!("unknown key `{}`; did you mean `{near}`?", shown(key)),
        None => format!("unknown key `{}`; valid keys: {}", shown(key), valid.join(", ")),
    }
}

/// As much of a key as people need to find it: one may be as long as all of user-data.
fn shown(key: &str) -> String {
    match key.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    fn message(text: &str) -> String {
        super::super::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_deployers_own_notes_are_passed_over() {
        let text =
            "#mayfly\nrole: web\nstates: {url: https://x/y}\nrecord: {set: {a.b: 1}, metadata: {c: [d]}}\n";
        assert!(super::super::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn an_unknown_key_names_the_nearest_and_the_place() {
        assert_eq!(message("#mayfly\nrol: web\n"), "user-data:2:1: unknown key `rol`; did you mean `role`?");
        assert_eq!(
            message("#mayfly\nrole: web\nstates:\n  url: file:///x\n  branch: main\n")
                .split(';')
                .next()
                .unwrap(),
            "user-data:5:3: unknown key `branch`"
        );
    }

    #[test]
    fn a_key_without_end_is_told_by_its_beginning() {
        let key = "k".repeat(1000);
        let twice = format!("#mayfly\nrole: web\n{key}: 1\n{key}: 2\n");
        for text in [format!("#mayfly\n{key}: web\n"), twice] {
            let told = message(&text);
            assert!(told.contains("kk…`") && !told.contains(&key[..200]), "{told}");
        }
    }

    #[test]
    fn broken_yaml_names_the_place() {
        let m = message("#mayfly\nrole: [web\n");
        assert!(m.starts_with("user-data:"), "{m}");
        let m = message("#mayfly\nrole: web\nrole: db\n");
        assert_eq!(m, "user-data:3:1: the key `role` is there twice; keep one");
    }

    #[test]
    fn a_wrong_type_names_the_place() {
        let m = message("#mayfly\nrole: web\nstates:\n  url: file:///x\n  follow: perhaps\n");
        assert!(m.starts_with("user-data:5:11: "), "{m}");
    }

    #[test]
    fn places_hold_inside_a_cloud_config() {
        let m = message("#cloud-config\npackages: [git]\nmayfly:\n  role: web\n  stats: {}\n");
        assert_eq!(m, "user-data:5:3: unknown key `stats`; did you mean `states`?");
    }
}
