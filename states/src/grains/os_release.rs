//! The text of os-release files (os-release(5)) and of the version lines beside them.

use std::collections::BTreeMap;

/// No version is longer than this many characters.
const LONG: usize = 256;

/// The assignments of an os-release file.
pub(crate) struct OsRelease(BTreeMap<String, String>);

impl OsRelease {
    /// Reads the assignments; a name, an id and a pretty name there are always.
    pub(crate) fn parse(text: &str) -> Self {
        let defaults = [("NAME", "Linux"), ("ID", "linux"), ("PRETTY_NAME", "Linux")];
        let mut fields: BTreeMap<String, String> =
            defaults.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        fields.extend(text.lines().filter_map(assignment));
        Self(fields)
    }

    /// A field that is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field, or nothing.
    pub(crate) fn or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The code name: a field of its own, or what stands in brackets or after a comma in the version.
    pub(crate) fn codename(&self) -> String {
        let own = self.get("VERSION_CODENAME").or_else(|| self.get("UBUNTU_CODENAME"));
        own.map_or_else(|| codename_in(self.or_empty("VERSION")).unwrap_or_default(), str::to_owned)
    }
}

/// `NAME=value`, the value quoted or not.
fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(of_name) {
        return None;
    }
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    Some((name.to_owned(), unescaped(quoted('"').or_else(|| quoted('\'')).unwrap_or(value))))
}

/// A backslash hides the five characters that mean something to a shell.
fn unescaped(value: &str) -> String {
    let mut plain = String::new();
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        let hidden = |next: &char| c == '\\' && "\\$\"'`".contains(*next);
        plain.push(characters.next_if(hidden).unwrap_or(c));
    }
    plain
}

fn codename_in(version: &str) -> Option<String> {
    let version: String = version.chars().take(LONG).collect();
    let run = |text: &str| text.chars().take_while(|c| !c.is_numeric()).collect::<String>();
    version.char_indices().find_map(|(at, c)| match c {
        '(' => {
            let inner = run(&version[at + 1..]);
            let end = inner.rfind(')').filter(|end| *end > 0)?;
            Some(inner[..end].to_owned())
        }
        ',' => Some(run(version[at + 1..].trim_start())).filter(|name| !name.is_empty()),
        _ => None,
    })
}

/// The version at the end of a line such as `CentOS Linux release 7.9.2009 (Core)`.
pub(crate) fn version_in(line: &str) -> Option<String> {
    let mut line = line.trim();
    if line.ends_with(')') {
        line = line.rsplit_once('(').map_or(line, |(before, _)| before.trim_end());
    }
    let line = line.strip_suffix(" LTS").unwrap_or(line).trim_end();
    let of_version = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || ".+-".contains(c);
    let start = line
        .rfind(|c| !of_version(c))
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let version = &line[start..];
    Some(version[version.find(|c: char| c.is_ascii_digit())?..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes_and_escapes() {
        let fields =
            OsRelease::parse("A=\"x \\\"y\\\" \\n\"\nB='z'\nC=plain # not a comment\n D=no\nE=\"half\n");
        assert_eq!(fields.get("A"), Some("x \"y\" \\n"));
        assert_eq!([fields.or_empty("B"), fields.or_empty("C")], ["z", "plain # not a comment"]);
        assert_eq!([fields.or_empty("D"), fields.or_empty("E")], ["", "\"half"]);
        assert_eq!(fields.or_empty("NAME"), "Linux");
    }

    #[test]
    fn code_names_and_versions_in_a_line() {
        assert_eq!(codename_in("9.3 (Plow)").as_deref(), Some("Plow"));
        assert_eq!(codename_in("16.04, Xenial Xerus").as_deref(), Some("Xenial Xerus"));
        assert_eq!(codename_in("40 (Server 40)"), None);
        assert_eq!(version_in("CentOS Linux release 7.9.2009 (Core)").as_deref(), Some("7.9.2009"));
        assert_eq!(version_in("Ubuntu 22.04.3 LTS").as_deref(), Some("22.04.3"));
        assert_eq!(version_in("Debian GNU/Linux forky/sid"), None);
        assert_eq!(version_in("ü"), None);
    }
}
