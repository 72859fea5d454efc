//! Nodegroups: targets by name, which may name others.

use indexmap::IndexMap;

/// Words that join targets.
pub(super) const OPERATORS: [&str; 5] = ["and", "or", "not", "(", ")"];
/// Words that the groups of one target come to.
const MAX_WORDS: usize = 10_000;

type Groups = IndexMap<String, Vec<String>>;

/// The words of the compound target that a group stands for; `None` for a group that is not there, or holds itself.
///
/// # Errors
/// The groups come to too many words.
pub(super) fn words(group: &str, groups: &Groups) -> Result<Option<Vec<String>>, String> {
    expanded(group, groups, &mut Vec::new())
}

fn expanded<'g>(
    group: &'g str,
    groups: &'g Groups,
    inside: &mut Vec<&'g str>,
) -> Result<Option<Vec<String>>, String> {
    let Some(own) = groups.get(group).filter(|_| !inside.contains(&group)) else { return Ok(None) };
    inside.push(group);
    let mut all = Vec::new();
    let mut nested = false;
    for word in own {
        match word.strip_prefix("N@").filter(|name| !name.is_empty()) {
            Some(name) => {
                nested = true;
                all.extend(expanded(name, groups, inside)?.unwrap_or_default());
            }
            None => all.push(word.clone()),
        }
        if all.len() > MAX_WORDS || inside.len() > 100 {
            return Err(format!("the nodegroup '{group}' is too large"));
        }
    }
    inside.pop();
    if !all.is_empty() {
        all.insert(0, "(".to_owned());
        all.push(")".to_owned());
    }
    let outermost = inside.is_empty();
    Ok(Some(match names(own) {
        Some(plain) if !(nested && outermost) => vec![plain],
        _ if nested || !outermost => all,
        _ => own.clone(),
    }))
}

/// A group of plain words is a list of ids, or an expression where the words look like one.
fn names(words: &[String]) -> Option<String> {
    let compound = |word: &String| {
        let bytes = word.as_bytes();
        let typed = bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.get(1) == Some(&b'@');
        OPERATORS.contains(&word.as_str()) || word.contains('*') || typed
    };
    if words.iter().any(compound) {
        return None;
    }
    let expression = words.iter().any(|w| w.contains(['(', '[', '{', '\\', '?', '}', ']', ')']));
    Some(format!("{}@{}", if expression { 'E' } else { 'L' }, words.join(",")))
}
