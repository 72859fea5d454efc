//! What was likely meant in state files, looked at once something of them is refused.

use crate::error::Error;
use crate::files;
use crate::nearest::nearest;
use crate::tree::Roots;
use crate::yaml::{Node, dash_without_space};

/// What stands where a list should, its entries written without the space behind the `-`.
pub(super) const UNSPACED: &str = "a list without the space behind each `-`";

/// Whether something that should be a list looks like one without the spaces.
pub(super) fn is_unspaced(node: &Node) -> bool {
    let first = node.as_map().and_then(|pairs| pairs.first()).map_or(node, |(key, _)| key);
    first.as_str().is_some_and(dash_without_space)
}

/// An error about an SLS that is not there, with the name or the environment that was likely meant.
pub(super) fn absent(roots: &Roots, error: Error, env: &str, sls: &str) -> Error {
    let help = match roots.get(env) {
        Some(roots) => files::sls_meant(roots, sls),
        None => nearest(env, roots.keys().map(String::as_str))
            .map(|near| format!("there is no environment '{env}': did you mean `{near}`?")),
    };
    match help {
        Some(help) => error.help(help),
        None => error,
    }
}
