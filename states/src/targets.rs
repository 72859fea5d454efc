//! Who is meant: the targets of top files.

use crate::functions::traverse;
use crate::glob::fnmatch;
use crate::jinja::{Py, text};

/// What targets are matched against.
pub(crate) struct Subject<'s> {
    pub(crate) id: &'s str,
    pub(crate) grains: &'s Py,
    pub(crate) pillar: &'s Py,
}

/// Whether a target of this kind (`match:` in a top file; Salt's default is `compound`) means the minion.
///
/// # Errors
/// The kind is not known, or the target is malformed: a sentence.
pub(crate) fn matches(subject: &Subject<'_>, kind: &str, target: &str) -> Result<bool, String> {
    match kind {
        "glob" => Ok(fnmatch(subject.id, target)),
        "list" => Ok(target.split(',').any(|t| t.trim() == subject.id)),
        "pcre" => regex_at_start(target, subject.id),
        "grain" => subdict(subject.grains, target, Pattern::Glob),
        "grain_pcre" => subdict(subject.grains, target, Pattern::Regex),
        "pillar" => subdict(subject.pillar, target, Pattern::Glob),
        "pillar_pcre" => subdict(subject.pillar, target, Pattern::Regex),
        "pillar_exact" => subdict(subject.pillar, target, Pattern::Exact),
        "ipcidr" => Ok(address(subject.grains, target)),
        "compound" => Compound { subject, tokens: tokens(target), at: 0, depth: 0 }.run(target),
        "nodegroup" => Err("nodegroups are not configured here".to_owned()),
        other => Err(format!("unknown kind of match '{other}'")),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Pattern {
    Glob,
    Regex,
    Exact,
}

fn regex_at_start(pattern: &str, text: &str) -> Result<bool, String> {
    let regex = regex::RegexBuilder::new(&format!(r"\A(?:{pattern})")).size_limit(1 << 20).build();
    regex
        .map(|r| r.is_match(text))
        .map_err(|e| format!("the regular expression '{pattern}' cannot be used: {e}"))
}

/// `path:to:key:pattern`, as Salt's `subdict_match`: every way of cutting it into path and pattern is tried.
fn subdict(data: &Py, expression: &str, pattern: Pattern) -> Result<bool, String> {
    let parts: Vec<&str> = expression.split(':').collect();
    for cut in 1..parts.len() {
        let Some(value) = traverse(data, &parts[..cut].join(":"), ":") else { continue };
        if value_fits(&value, &parts[cut..].join(":"), pattern)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn value_fits(value: &Py, wanted: &str, pattern: Pattern) -> Result<bool, String> {
    let fits = |value: &Py| {
        let (value, wanted) = (text(value).to_lowercase(), wanted.to_lowercase());
        match pattern {
            Pattern::Glob => Ok(fnmatch(&value, &wanted)),
            Pattern::Regex => regex_at_start(&wanted, &value),
            Pattern::Exact => Ok(value == wanted),
        }
    };
    match value {
        Py::Dict(d) => Ok(wanted == "*" || d.borrow().contains_key(wanted)),
        Py::List(items) => {
            for item in items.borrow().iter() {
                let found = match item {
                    Py::Dict(_) => subdict(item, wanted, pattern)? || value_fits(item, wanted, pattern)?,
                    item => fits(item)?,
                };
                if found {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        value => fits(value),
    }
}

/// Whether one of the minion's addresses is this one, or in this network.
fn address(grains: &Py, target: &str) -> bool {
    let (network, bits) = target.split_once('/').map_or((target, None), |(n, b)| (n, b.parse::<u32>().ok()));
    let Ok(network) = network.parse::<std::net::IpAddr>() else { return false };
    let number = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        std::net::IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let (wanted, width) = number(network);
    let shift = width - bits.unwrap_or(width).min(width);
    let cut = |n: u128| n.checked_shr(shift).unwrap_or(0);
    let own =
        ["ipv4", "ipv6"].iter().filter_map(|key| grains.item(key)).filter_map(|l| l.elements()).flatten();
    let own = own.filter_map(|ip| text(&ip).parse::<std::net::IpAddr>().ok());
    own.filter(|ip| ip.is_ipv4() == network.is_ipv4()).any(|ip| cut(number(ip).0) == cut(wanted))
}

fn tokens(target: &str) -> Vec<String> {
    let spaced = target.split_whitespace().flat_map(|word| {
        // Parentheses are tokens when they stand alone or around a word; inside a pattern they belong to it.
        let open = word.len() - word.trim_start_matches('(').len();
        let mut rest = &word[open..];
        let mut parts = vec!["(".to_owned(); open];
        let mut close = 0;
        while rest.ends_with(')') && rest.matches(')').count() > rest.matches('(').count() {
            rest = &rest[..rest.len() - 1];
            close += 1;
        }
        parts.extend((!rest.is_empty()).then(|| rest.to_owned()));
        parts.extend(std::iter::repeat_n(")".to_owned(), close));
        parts
    });
    spaced.collect()
}

/// A parser of compound targets that evaluates as it goes.
struct Compound<'s> {
    subject: &'s Subject<'s>,
    tokens: Vec<String>,
    at: usize,
    depth: usize,
}

impl Compound<'_> {
    fn run(mut self, target: &str) -> Result<bool, String> {
        let result = self.any()?;
        if self.at < self.tokens.len() {
            return Err(format!("the target '{target}' cannot be read at '{}'", self.tokens[self.at]));
        }
        Ok(result)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t == token);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut result = self.all()?;
        while self.eat("or") {
            // Both sides are read, so that what is wrong on the right is told too.
            let right = self.all()?;
            result = result || right;
        }
        Ok(result)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut result = self.one()?;
        while self.eat("and") {
            let right = self.one()?;
            result = result && right;
        }
        Ok(result)
    }

    fn one(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > 100 {
            return Err("the target is nested too deeply".to_owned());
        }
        let result = if self.eat("not") {
            !self.one()?
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err("the target lacks a `)`".to_owned());
            }
            inner
        } else {
            let Some(word) = self.tokens.get(self.at).cloned() else {
                return Err("the target ends too early".to_owned());
            };
            self.at += 1;
            self.word(&word)?
        };
        self.depth -= 1;
        Ok(result)
    }

    fn word(&self, word: &str) -> Result<bool, String> {
        let Some((letter, target)) = word.split_once('@').filter(|(l, _)| l.len() == 1) else {
            return matches(self.subject, "glob", word);
        };
        let kind = match letter {
            "G" => "grain",
            "P" => "grain_pcre",
            "I" => "pillar",
            "J" => "pillar_pcre",
            "L" => "list",
            "S" => "ipcidr",
            "E" => "pcre",
            "N" => "nodegroup",
            other => return Err(format!("unknown kind of target '{other}@'")),
        };
        matches(self.subject, kind, target)
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, matches};
    use crate::jinja::Py;
    use crate::value::{Map, Value};

    fn grains() -> Py {
        let list = Value::List(vec![Value::Str("web".into()), Value::Str("db".into())]);
        let nested = Value::Map(Map::from([("region".into(), Value::Str("eu-west-1".into()))]));
        let ips = Value::List(vec![Value::Str("10.1.2.3".into())]);
        let all = [("role", Value::Str("Web".into())), ("roles", list), ("ec2", nested), ("ipv4", ips)];
        Py::from(&all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map>())
    }

    fn hit(kind: &str, target: &str) -> bool {
        let (grains, pillar) = (grains(), Py::from(&Map::new()));
        let subject = Subject { id: "web-1", grains: &grains, pillar: &pillar };
        matches(&subject, kind, target).unwrap()
    }

    #[test]
    fn each_kind_matches_what_salt_matches() {
        for (kind, target, expected) in [
            ("glob", "web*", true),
            ("glob", "db*", false),
            ("list", "a,web-1", true),
            ("list", "web", false),
            ("pcre", "web-[0-9]", true),
            ("grain", "role:web", true),
            ("grain", "roles:d*", true),
            ("grain", "ec2:region:eu-*", true),
            ("grain", "absent:*", false),
            ("grain_pcre", "role:w.b", true),
            ("ipcidr", "10.1.0.0/16", true),
            ("ipcidr", "10.2.0.0/16", false),
            ("compound", "*", true),
            ("compound", "G@role:web and web*", true),
            ("compound", "G@role:web and not web*", false),
            ("compound", "( db* or L@web-1 ) and E@.*1", true),
            ("compound", "db* or ( G@role:db and * )", false),
        ] {
            assert_eq!(hit(kind, target), expected, "{kind} {target}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let (grains, pillar) = (grains(), Py::from(&Map::new()));
        let subject = Subject { id: "web-1", grains: &grains, pillar: &pillar };
        for (kind, target) in [("nonsense", "x"), ("pcre", "("), ("compound", "a and"), ("compound", "a b")] {
            assert!(matches(&subject, kind, target).is_err(), "{kind} {target}");
        }
    }
}
