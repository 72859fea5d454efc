//! The minion and the tree of `apply` and `show`: from arguments and this machine instead of user-data.
// Effects: reads the files that the arguments name.
#![allow(clippy::disallowed_methods)]

use crate::cli::{Root, TreeArgs};
use crate::{convert, say};
use mayfly_states::grains::{self, facts::Facts};
use mayfly_states::minion::Minion;
use mayfly_states::options::Options;
use mayfly_states::tree::{Roots, Tree};
use mayfly_states::value::{Map, Value};
use std::path::{Path, PathBuf};

/// Why the arguments cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A folder that is not there.
    #[error("--{argument} {path}: no such folder", path = path.display())]
    NoFolder {
        /// Which argument.
        argument: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// Data that is no mapping or not readable.
    #[error("--{argument}: {message}")]
    Data {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

/// The tree that the arguments name. Without `--pillar-root` it is `pillar` in the file root, or beside it.
///
/// # Errors
/// [`Error::NoFolder`].
pub(crate) fn tree(args: &TreeArgs) -> Result<Tree, Error> {
    let file_roots = roots("file-root", &args.file_root)?;
    let mut pillar_roots = roots("pillar-root", &args.pillar_root)?;
    if pillar_roots.is_empty() {
        let base = file_roots.get("base").into_iter().flatten();
        let beside = base.flat_map(|root| [root.join("pillar"), root.join("../pillar")]).find(|p| p.is_dir());
        pillar_roots.extend(beside.map(|found| ("base".to_owned(), vec![found])));
    }
    Ok(Tree { file_roots, pillar_roots })
}

fn roots(argument: &'static str, given: &[Root]) -> Result<Roots, Error> {
    let mut all = Roots::new();
    for Root { env, path } in given {
        if !path.is_dir() {
            return Err(Error::NoFolder { argument, path: path.clone() });
        }
        all.entry(env.clone()).or_default().push(path.clone());
    }
    Ok(all)
}

/// The minion: this machine's grains, or those of a file, with what the arguments say over them.
///
/// # Errors
/// [`Error::Data`].
pub(crate) fn minion(args: &TreeArgs) -> Result<Minion, Error> {
    if !args.root.is_dir() {
        return Err(Error::NoFolder { argument: "root", path: args.root.clone() });
    }
    let mut grains = match &args.grains {
        Some(path) => mapping_file("grains", path)?,
        None => own_grains(&args.root),
    };
    let given = grains.get("id").and_then(Value::as_str).unwrap_or("localhost").to_owned();
    let id = args.id.clone().unwrap_or(given);
    if args.id.is_some() {
        grains.insert("server_id".to_owned(), grains::server_id(&id));
    }
    grains.insert("id".to_owned(), Value::Str(id.clone()));
    if let Some(role) = &args.role {
        grains.insert("role".to_owned(), Value::Str(role.clone()));
    }
    let pillar =
        args.pillar.as_deref().map_or_else(|| Ok(Map::new()), |text| mapping("pillar", "argument", text))?;
    let options = args.options.as_deref().map_or_else(|| Ok(Options::default()), options)?;
    Ok(Minion { id, grains, pillar, saltenv: args.saltenv.clone().unwrap_or_default(), options })
}

fn options(path: &Path) -> Result<Options, Error> {
    Options::from_map(&mapping_file("options", path)?)
        .map_err(|e| Error::Data { argument: "options", message: format!("{}: {e}", path.display()) })
}

/// This machine's grains; what could not be read of them is said.
fn own_grains(root: &Path) -> Map {
    let facts = Facts::read(root);
    facts.complaints.iter().for_each(|line| say::warn(format_args!("warning: {line}")));
    grains::collect(&facts)
}

fn mapping_file(argument: &'static str, path: &Path) -> Result<Map, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::Data { argument, message: format!("{}: {e}", path.display()) })?;
    mapping(argument, &path.display().to_string(), &text)
}

fn mapping(argument: &'static str, name: &str, text: &str) -> Result<Map, Error> {
    let fail = |message: String| Error::Data { argument, message };
    let options = serde_saphyr::options! { with_snippet: false };
    let json: serde_json::Value = serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let (line, column) = e.location().map_or((1, 1), |l| (l.line(), l.column()));
        let words = e.to_string();
        fail(format!("{name}:{line}:{column}: {}", words.lines().next().unwrap_or_default()))
    })?;
    match convert::value(json) {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(fail(format!("{name}: must be a mapping"))),
    }
}
