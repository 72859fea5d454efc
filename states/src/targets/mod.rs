//! Who is meant: the targets of top files.

mod address;
mod compound;
mod nodegroup;
mod subdict;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;

use crate::jinja::Py;
use crate::python::glob::fnmatch;
use crate::python::regex;
use subdict::Pattern;

/// What targets are matched against.
pub(crate) struct Subject<'s> {
    pub(crate) id: &'s str,
    pub(crate) grains: &'s Py,
    pub(crate) pillar: &'s Py,
    pub(crate) nodegroups: &'s IndexMap<String, Vec<String>>,
}

/// What stands between the parts of a path unless a target says otherwise.
const DELIMITER: &str = ":";

/// Whether a target of this kind (`match:` in a top file; Salt's default is `compound`) means the minion. What Salt
/// only logs, such as a compound target that makes no sense, means nobody.
///
/// # Errors
/// What Salt stops at: a kind that is not known, a regular expression for ids that is none. A sentence.
pub(crate) fn matches(subject: &Subject<'_>, kind: &str, target: &str) -> Result<bool, String> {
    match kind {
        "compound" => compound::matches(subject, target.split_whitespace().map(str::to_owned).collect()),
        "nodegroup" => match nodegroup::words(target, subject.nodegroups)? {
            Some(words) => compound::matches(subject, words),
            None => Ok(false),
        },
        "data" | "cache" | "compound_pillar_exact" => {
            Err(format!("the kind of match '{kind}' needs a master, or data that is not kept here"))
        }
        kind => simple(subject, kind, target, DELIMITER),
    }
}

/// The kinds that compound targets are made of.
fn simple(subject: &Subject<'_>, kind: &str, target: &str, delimiter: &str) -> Result<bool, String> {
    match kind {
        "glob" => Ok(fnmatch(subject.id, target)),
        "list" => Ok(target.split(',').any(|name| name == subject.id) || target == subject.id),
        "pcre" => at_start(target, subject.id),
        "grain" => subdict::matches(subject.grains, target, delimiter, Pattern::Glob),
        "grain_pcre" => subdict::matches(subject.grains, target, delimiter, Pattern::Regex),
        "pillar" => subdict::matches(subject.pillar, target, delimiter, Pattern::Glob),
        "pillar_pcre" => subdict::matches(subject.pillar, target, delimiter, Pattern::Regex),
        "pillar_exact" => subdict::matches(subject.pillar, target, delimiter, Pattern::Exact),
        "ipcidr" => Ok(address::matches(subject.grains, target)),
        "managing_minion" => Ok(target == subject.id),
        // Salt knows these; without a range server and resources they mean nobody.
        "range" | "resource" => Ok(false),
        other => Err(format!("unknown kind of match '{other}'")),
    }
}

/// Python's `re.match`: the expression fits from the start of the text on.
fn at_start(pattern: &str, text: &str) -> Result<bool, String> {
    let regex = regex::build(pattern, false, false)?;
    let found = regex.find(text).map_err(|e| format!("the regular expression {pattern:?} failed: {e}"))?;
    Ok(found.is_some_and(|m| m.start() == 0))
}
