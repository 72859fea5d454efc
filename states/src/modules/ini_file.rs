//! The text of an INI file as Salt reads, edits and writes it, pure.

use indexmap::IndexMap;
use regex::Regex;

use crate::value::{Map, Value};

/// What stands under a key: comments and lines that are nothing else have keys of their own (`#comment1`, `#unknown1`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Text(String),
    Section(Section),
}

/// Options, comments and (at the top) sections, in order.
pub(crate) type Section = IndexMap<String, Entry>;

/// How options look.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    separator: String,
    option: Regex,
    spaces: bool,
}

impl Style {
    /// With what stands between a key and its value; `None` when that cannot be told from the rest.
    pub(crate) fn new(separator: &str, spaces: bool) -> Option<Self> {
        if separator.is_empty() || separator.contains('\n') {
            return None;
        }
        let pattern = format!(r"^(\s*)(.+?)\s*{}\s*(.*)", regex::escape(separator));
        Some(Self { separator: separator.to_owned(), option: Regex::new(&pattern).ok()?, spaces })
    }

    fn between(&self) -> String {
        let bare = self.separator.trim();
        match (bare.is_empty(), self.spaces) {
            (true, _) => " ".to_owned(),
            (false, true) => format!(" {bare} "),
            (false, false) => bare.to_owned(),
        }
    }
}

/// Whether a key stands for a line that is no option.
pub(crate) fn is_remark(key: &str) -> bool {
    key.trim_start().starts_with(['#', ';'])
}

/// The file as sections.
pub(crate) fn parse(text: &str, style: &Style) -> Section {
    let mut parts: Vec<(Option<&str>, Vec<&str>)> = vec![(None, Vec::new())];
    for line in text.lines() {
        match header(line) {
            Some(name) => parts.push((Some(name), Vec::new())),
            None => parts.last_mut().into_iter().for_each(|(_, lines)| lines.push(line)),
        }
    }
    let mut file = Section::new();
    for (name, lines) in parts {
        let body = parse_body(&lines.join("\n"), style);
        match name {
            None => file = body,
            Some(name) => drop(set(&mut file, name, Entry::Section(body), style)),
        }
    }
    file
}

fn header(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    (!name.is_empty()).then_some(name)
}

fn parse_body(text: &str, style: &Style) -> Section {
    let mut section = Section::new();
    let (mut comments, mut unknown, mut indent) = (0, 0, 0);
    let text = text.trim_matches('\n');
    if text.is_empty() {
        return section;
    }
    for line in text.split('\n') {
        let depth = |s: &str| s.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum::<usize>();
        let white = line.len() - line.trim_start().len();
        if is_remark(line) {
            comments += 1;
            set(&mut section, &format!("#comment{comments}"), Entry::Text(line.to_owned()), style);
        } else if white > 0 && depth(&line[..white]) > indent && !section.is_empty() {
            // An indented line goes on with the value above.
            if let Some((_, Entry::Text(value))) = section.last_mut() {
                *value = format!("{value}\n{line}");
            }
        } else if let Some(found) = style.option.captures(line) {
            indent = depth(&found[1]);
            set(&mut section, &found[2], Entry::Text(found[3].to_owned()), style);
        } else {
            unknown += 1;
            set(&mut section, &format!("#unknown{unknown}"), Entry::Text(line.to_owned()), style);
        }
    }
    section
}

/// Set a key, and say how that changes it in Salt's words. A new option takes the place of its commented-out line.
pub(crate) fn set(section: &mut Section, key: &str, entry: Entry, style: &Style) -> Option<Value> {
    match (section.get_mut(key), entry) {
        (Some(Entry::Section(now)), Entry::Section(new)) => {
            let mut changes = Map::new();
            for (key, entry) in new {
                if let Some(change) = set(now, &key, entry, style) {
                    changes.insert(key, change);
                }
            }
            (!changes.is_empty()).then_some(Value::Map(changes))
        }
        (Some(now), new) if *now == new => None,
        (Some(now), new) => {
            let change = pair(plain(now), plain(&new));
            *now = new;
            Some(change)
        }
        (None, Entry::Section(new)) => {
            let mut fresh = Section::new();
            new.into_iter().for_each(|(key, entry)| drop(set(&mut fresh, &key, entry, style)));
            let change = pair(Value::Null, plain(&Entry::Section(fresh.clone())));
            section.insert(key.to_owned(), Entry::Section(fresh));
            Some(change)
        }
        (None, new) => {
            let change = pair(Value::Null, plain(&new));
            match commented(section, key, style) {
                Some(at) => {
                    section.shift_remove_index(at);
                    section.shift_insert(at, key.to_owned(), new);
                }
                None => drop(section.insert(key.to_owned(), new)),
            }
            Some(change)
        }
    }
}

/// Where the option is commented out.
fn commented(section: &Section, key: &str, style: &Style) -> Option<usize> {
    section.iter().position(|(name, entry)| {
        let Entry::Text(line) = entry else { return false };
        let option = || style.option.captures(line.trim_start_matches('#'));
        name.contains("#comment") && option().is_some_and(|found| &found[2] == key)
    })
}

fn pair(before: Value, after: Value) -> Value {
    Value::Map(Map::from([("before".to_owned(), before), ("after".to_owned(), after)]))
}

/// An entry as a value, without what is no option.
pub(crate) fn plain(entry: &Entry) -> Value {
    match entry {
        Entry::Text(text) => Value::Str(text.clone()),
        Entry::Section(section) => {
            let options = section.iter().filter(|(key, _)| !key.starts_with('#'));
            Value::Map(options.map(|(key, entry)| (key.clone(), plain(entry))).collect())
        }
    }
}

/// The sections as a file.
pub(crate) fn render(file: &Section, style: &Style) -> String {
    let mut text = String::new();
    body(file, style, &mut text);
    text.trim_start_matches('\n').to_owned()
}

fn body(section: &Section, style: &Style, text: &mut String) {
    for (key, entry) in section {
        match entry {
            Entry::Text(line) if is_remark(key) => text.push_str(&format!("{line}\n")),
            Entry::Text(value) => text.push_str(&format!("{key}{}{value}\n", style.between())),
            Entry::Section(_) => {}
        }
    }
    for (key, entry) in section {
        if let Entry::Section(inner) = entry {
            text.push_str(&format!("\n[{key}]\n"));
            body(inner, style, text);
        }
    }
}
