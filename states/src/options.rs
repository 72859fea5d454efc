//! The options of a minion's configuration that change what a tree compiles to, with Salt's names and defaults.

use std::path::PathBuf;

use indexmap::IndexMap;

use crate::nearest::did_you_mean;
use crate::value::{Map, Value};

/// Salt's `pillar_source_merging_strategy`: how one pillar SLS is merged over another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Merging {
    /// By the renderer: `recurse`, as aggregation needs `yamlex`.
    #[default]
    Smart,
    /// Mappings key by key, everything else replaced.
    Recurse,
    /// Top-level keys are replaced.
    Overwrite,
    /// As `recurse`, with what is marked `!aggregate` joined.
    Aggregate,
    /// Of several environments only one is read.
    None,
    /// Both values of a key in a list; a key that only the later one has is lost.
    List,
}

impl Merging {
    /// Salt's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Merging::Smart => "smart",
            Merging::Recurse => "recurse",
            Merging::Overwrite => "overwrite",
            Merging::Aggregate => "aggregate",
            Merging::None => "none",
            Merging::List => "list",
        }
    }
}

/// Salt's `top_file_merging_strategy`: what the top files of several environments say together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TopMerging {
    /// The top file of `base` decides; another one speaks for its own environment, where `base` is silent about it.
    #[default]
    Merge,
    /// Every section of every top file counts.
    MergeAll,
    /// Each top file speaks for its own environment alone.
    Same,
}

/// These options; the default is Salt's.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// See [`Merging`].
    pub pillar_source_merging_strategy: Merging,
    /// Whether lists of pillar files are joined instead of replaced.
    pub pillar_merge_lists: bool,
    /// Whether what a pillar SLS includes wins over what it says itself.
    pub pillar_includes_override_sls: bool,
    /// The only pillar environment.
    pub pillarenv: Option<String>,
    /// Whether `saltenv` is the pillar environment, when that is not given.
    pub pillarenv_from_saltenv: bool,
    /// See [`TopMerging`].
    pub top_file_merging_strategy: TopMerging,
    /// The order of environments; those that are not named are not read.
    pub env_order: Vec<String>,
    /// With [`TopMerging::Same`]: whose top file speaks for an environment that has none.
    pub default_top: String,
    /// The name of the top file.
    pub state_top: String,
    /// The only environment whose top file is read.
    pub state_top_saltenv: Option<String>,
    /// Named targets: the words of each.
    pub nodegroups: IndexMap<String, Vec<String>>,
    /// The home directory of gpg, for `#!yaml|gpg`.
    pub gpg_keydir: PathBuf,
    /// The file with the identities of age, for `#!yaml|age`.
    pub age_keyfile: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pillar_source_merging_strategy: Merging::default(),
            pillar_merge_lists: false,
            pillar_includes_override_sls: false,
            pillarenv: None,
            pillarenv_from_saltenv: false,
            top_file_merging_strategy: TopMerging::default(),
            env_order: Vec::new(),
            default_top: "base".to_owned(),
            state_top: "top.sls".to_owned(),
            state_top_saltenv: None,
            nodegroups: IndexMap::new(),
            gpg_keydir: "/etc/salt/gpgkeys".into(),
            age_keyfile: "/etc/mayfly/age.key".into(),
        }
    }
}

/// The names of the options.
pub const NAMES: &[&str] = &[
    "age_keyfile",
    "default_top",
    "env_order",
    "gpg_keydir",
    "nodegroups",
    "pillar_includes_override_sls",
    "pillar_merge_lists",
    "pillar_source_merging_strategy",
    "pillarenv",
    "pillarenv_from_saltenv",
    "state_top",
    "state_top_saltenv",
    "top_file_merging_strategy",
];

/// Options that Salt has and trees here cannot have, and why.
const REFUSED: &[(&str, &str)] = &[
    ("gpg_decrypt_must_succeed", "a value that cannot be decrypted always ends the compile"),
    ("decrypt_pillar", "what is encrypted is said by the file: begin it with `#!yaml|gpg` or `#!yaml|age`"),
    ("ext_pillar", "external pillar is not supported: pillar comes from the tree and from user-data"),
    ("master_tops", "external top data is not supported: the top file says which states go to which minion"),
];

impl Options {
    /// Reads options by their names.
    ///
    /// # Errors
    /// An unknown name, or a value of the wrong kind: a sentence.
    pub fn from_map(map: &Map) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in map {
            options.set(name, value)?;
        }
        Ok(options)
    }

    /// Sets one option.
    ///
    /// # Errors
    /// As [`Options::from_map`].
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "pillar_source_merging_strategy" => self.pillar_source_merging_strategy = merging(value)?,
            "top_file_merging_strategy" => self.top_file_merging_strategy = top_merging(value)?,
            "pillar_merge_lists" => self.pillar_merge_lists = flag(name, value)?,
            "pillar_includes_override_sls" => self.pillar_includes_override_sls = flag(name, value)?,
            "pillarenv_from_saltenv" => self.pillarenv_from_saltenv = flag(name, value)?,
            "pillarenv" => self.pillarenv = environment(name, value)?,
            "state_top_saltenv" => self.state_top_saltenv = environment(name, value)?,
            "default_top" => self.default_top = text(name, value)?,
            "state_top" => self.state_top = text(name, value)?,
            "env_order" => self.env_order = words(name, value)?,
            "nodegroups" => self.nodegroups = nodegroups(value)?,
            "gpg_keydir" => self.gpg_keydir = path(name, value)?,
            "age_keyfile" => self.age_keyfile = path(name, value)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return format!("{name}: {why}");
    }
    match did_you_mean(name, NAMES.iter().copied()) {
        Some(help) => format!("unknown option `{name}`; {help}"),
        None => format!("unknown option `{name}`; options are {}", NAMES.join(", ")),
    }
}

fn merging(value: &Value) -> Result<Merging, String> {
    Ok(match value.as_str() {
        Some("smart") => Merging::Smart,
        Some("recurse") => Merging::Recurse,
        Some("overwrite") => Merging::Overwrite,
        Some("aggregate") => Merging::Aggregate,
        Some("none") => Merging::None,
        Some("list") => Merging::List,
        _ => {
            let known = "`smart`, `recurse`, `overwrite`, `aggregate`, `list` or `none`";
            return Err(format!("pillar_source_merging_strategy is {known}"));
        }
    })
}

fn top_merging(value: &Value) -> Result<TopMerging, String> {
    Ok(match value.as_str() {
        Some("merge") => TopMerging::Merge,
        Some("merge_all") => TopMerging::MergeAll,
        Some("same") => TopMerging::Same,
        _ => return Err("top_file_merging_strategy is `merge`, `merge_all` or `same`".to_owned()),
    })
}

fn flag(name: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{name} is true or false"))
}

fn text(name: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().filter(|t| !t.is_empty());
    text.map(str::to_owned).ok_or_else(|| format!("{name} is text"))
}

/// Where keys are: it does not depend on where somebody stands.
fn path(name: &str, value: &Value) -> Result<PathBuf, String> {
    let path = value.as_str().map(PathBuf::from).filter(|path| path.is_absolute());
    let path = path.filter(|path| !path.components().any(|part| part == std::path::Component::ParentDir));
    path.ok_or_else(|| format!("{name} is an absolute path without `..`"))
}

fn environment(name: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        value => text(name, value).map(Some),
    }
}

fn words(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let all = value.as_list().and_then(|l| l.iter().map(|v| v.as_str().map(str::to_owned)).collect());
    all.ok_or_else(|| format!("{name} is a list of names"))
}

fn nodegroups(value: &Value) -> Result<IndexMap<String, Vec<String>>, String> {
    let groups = value.as_map().ok_or("nodegroups is a mapping of names to targets")?;
    let group = |(name, target): (&String, &Value)| {
        let words = match target {
            Value::Str(words) => words.split_whitespace().map(str::to_owned).collect(),
            target => words("a nodegroup", target).map_err(|_| {
                format!("the nodegroup `{name}` is neither a target nor a list of the words of one")
            })?,
        };
        Ok((name.clone(), words))
    };
    groups.iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::{Merging, Options};
    use crate::value::{Map, Value};

    fn one(name: &str, value: Value) -> Result<Options, String> {
        Options::from_map(&Map::from([(name.to_owned(), value)]))
    }

    #[test]
    fn options_are_read_by_their_names() {
        let options = one("pillar_source_merging_strategy", Value::Str("list".into())).unwrap();
        assert_eq!(options, Options { pillar_source_merging_strategy: Merging::List, ..Options::default() });
        let groups = Map::from([("web".to_owned(), Value::Str("G@role:web and  not db*".into()))]);
        let options = one("nodegroups", Value::Map(groups)).unwrap();
        assert_eq!(options.nodegroups["web"], ["G@role:web", "and", "not", "db*"]);
    }

    #[test]
    fn what_is_no_option_is_told() {
        let error = |name, value| one(name, value).unwrap_err();
        assert_eq!(
            error("pillar_merge_list", Value::Bool(true)),
            "unknown option `pillar_merge_list`; did you mean `pillar_merge_lists`?"
        );
        assert_eq!(
            error("pillar_merge_lists", Value::Str("yes".into())),
            "pillar_merge_lists is true or false"
        );
        assert!(error("ext_pillar", Value::List(Vec::new())).contains("not supported"));
        assert!(error("top_file_merging_strategy", Value::Str("best".into())).contains("`merge_all`"));
    }
}
