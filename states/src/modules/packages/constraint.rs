//! Versions that a declaration asks for; pure.

use std::cmp::Ordering;

use super::Compare;

/// A version that a declaration asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Constraint {
    /// Any.
    #[default]
    Any,
    /// This one; `*` and `?` match any text and any character.
    Exactly(String),
    /// Compared in the package manager's order.
    Compared(&'static str, String),
}

impl Constraint {
    /// From `1.2-3`, `1.2*`, `>=1.2`, `<< 2`.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        for op in [">=", "<=", "<<", ">>", "!=", "==", "=", "<", ">"] {
            if let Some(rest) = text.strip_prefix(op) {
                return match op {
                    "=" | "==" => Constraint::Exactly(rest.trim().to_owned()),
                    _ => Constraint::Compared(op, rest.trim().to_owned()),
                };
            }
        }
        if text.is_empty() { Constraint::Any } else { Constraint::Exactly(text.to_owned()) }
    }

    /// Whether a version is as asked.
    pub(crate) fn allows(&self, version: &str, order: Compare) -> bool {
        let (op, wanted) = match self {
            Constraint::Any => return true,
            Constraint::Exactly(wanted) => return matches(wanted, version, order),
            Constraint::Compared(op, wanted) => (*op, wanted),
        };
        let order = order(version, wanted);
        match op {
            ">=" => order != Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" | ">>" => order == Ordering::Greater,
            "<" | "<<" => order == Ordering::Less,
            _ => order != Ordering::Equal,
        }
    }

    /// The pattern, where the version is one.
    pub(crate) fn pattern(&self) -> Option<&str> {
        match self {
            Constraint::Exactly(version) if is_pattern(version) => Some(version),
            _ => None,
        }
    }
}

fn is_pattern(version: &str) -> bool {
    version.contains(['*', '?'])
}

fn matches(pattern: &str, version: &str, order: Compare) -> bool {
    if is_pattern(pattern) {
        let glob = globset::GlobBuilder::new(pattern).literal_separator(false).build();
        return glob.is_ok_and(|g| g.compile_matcher().is_match(version));
    }
    order(pattern, version) == Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::super::dpkg::compare;
    use super::*;

    #[test]
    fn constraints_allow_what_they_say() {
        let allows = |text: &str, version: &str| Constraint::parse(text).allows(version, compare);
        assert!(allows(">= 1.2", "1.10"));
        assert!(!allows("<1.2", "1.10"));
        assert!(allows("1.2.*", "1.2.9-1"));
        assert!(!allows("1.2", "1.2-1"));
        assert!(allows("", "7"));
    }
}
