//! Where a line of a rendered text stands in the template that it came from: found only when a report or an error needs it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use similar::DiffOp;

use crate::edits::edits;
use crate::error::{Error, Fault};
use crate::low::Origin;

/// The files whose text a template changed.
#[derive(Debug, Clone, Default)]
pub struct Lines(HashMap<String, Arc<File>>);

/// A file: what was written, what came of it, and once it was asked for where each line came from.
#[derive(Debug)]
struct File {
    written: Box<str>,
    rendered: Box<str>,
    found: OnceLock<Vec<Found>>,
}

/// Where something stands in the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    line: usize,
    /// The line is there as it was rendered.
    same: bool,
}

impl File {
    /// Where a line of the rendered text came from.
    fn find(&self, line: usize) -> Option<Found> {
        let all = self.found.get_or_init(|| compare(&self.written, &self.rendered));
        all.get(line.checked_sub(1)?).copied()
    }
}

impl Lines {
    /// Keeps a file whose rendered text is another than its own.
    pub(crate) fn keep(&mut self, file: &str, written: &str, rendered: &str) {
        if written != rendered {
            let texts = File { written: written.into(), rendered: rendered.into(), found: OnceLock::new() };
            self.0.insert(file.to_owned(), Arc::new(texts));
        }
    }

    /// Each file with both of its texts, in the order of their names.
    fn texts(&self) -> Vec<(&str, &str, &str)> {
        let mut all: Vec<_> =
            self.0.iter().map(|(file, f)| (file.as_str(), &*f.written, &*f.rendered)).collect();
        all.sort_unstable();
        all
    }

    /// Adds the files of another.
    pub(crate) fn extend(&mut self, other: &Lines) {
        self.0.extend(other.0.iter().map(|(file, texts)| (file.clone(), texts.clone())));
    }

    /// The same place in the template.
    pub fn origin(&self, at: &Origin) -> Origin {
        match self.0.get(&*at.file).and_then(|file| file.find(at.line)) {
            Some(Found { line, same }) => {
                Origin { line, column: if same { at.column } else { 1 }, ..at.clone() }
            }
            None => at.clone(),
        }
    }

    /// An error of what was rendered, at its place in the template. Errors of the template itself stay.
    pub(crate) fn place(&self, mut error: Error) -> Error {
        let of_data = matches!(
            error.fault,
            Fault::Yaml(_)
                | Fault::High(_)
                | Fault::Requisite(_)
                | Fault::UnknownState(_)
                | Fault::Cycle(_)
                | Fault::NoSls(_)
        );
        let unplaced = of_data && !error.place.placed;
        let Some(at) = error.place.origin.clone().filter(|_| unplaced) else { return error };
        let Some(file) = self.0.get(&*at.file) else { return error };
        let Some(found) = file.find(at.line) else { return error };
        error.place.placed = true;
        error.place.origin = Some(self.origin(&at));
        let line = if found.same {
            file.written.lines().nth(found.line - 1)
        } else {
            file.rendered.lines().nth(at.line - 1)
        };
        error.place.line = line.map(|l| l.chars().take(200).collect());
        if found.same { error } else { error.note("the line shown is what the template made of its own") }
    }
}

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.texts() == other.texts()
    }
}

/// The texts alone: what they tell is found when it is asked for.
impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.texts().serialize(to)
    }
}

impl<'d> Deserialize<'d> for Lines {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        let all = Vec::<(String, Box<str>, Box<str>)>::deserialize(from)?;
        let file =
            |(name, written, rendered)| (name, Arc::new(File { written, rendered, found: OnceLock::new() }));
        Ok(Self(all.into_iter().map(file).collect()))
    }
}

/// For each line of the rendered text the line of the template that it came from, or the one that made it.
fn compare(written: &str, rendered: &str) -> Vec<Found> {
    let (old, new): (Vec<&str>, Vec<&str>) = (written.lines().collect(), rendered.lines().collect());
    let makers = Makers::of(&old);
    let mut all = Vec::with_capacity(new.len());
    for op in edits(&old, &new) {
        let same = matches!(op, DiffOp::Equal { .. });
        let range = op.old_range();
        // What a template adds is made by the line before, where it replaces none.
        let start = if range.is_empty() { range.start.max(1) } else { range.start + 1 };
        for (within, index) in op.new_range().enumerate() {
            let line = (start + if same { within } else { 0 }).min(old.len().max(1));
            let line_of = || makers.find(new.get(index).copied().unwrap_or_default(), line);
            all.push(Found { line: if same { line } else { line_of().unwrap_or(line) }, same });
        }
    }
    all
}

/// The lines of a template by what they can become: the same text, in each round of a loop, or their text with anything where
/// the template computes.
struct Makers<'t> {
    plain: HashMap<&'t str, Vec<usize>>,
    computed: Vec<(usize, Vec<&'t str>)>,
}

/// Lines that compute, beyond which nobody compares with them all.
const MOST_COMPUTED: usize = 2_000;

impl<'t> Makers<'t> {
    fn of(lines: &[&'t str]) -> Self {
        let (mut plain, mut computed) = (HashMap::<_, Vec<usize>>::new(), Vec::new());
        for (index, line) in lines.iter().enumerate() {
            match literals(line) {
                parts if parts.len() == 1 => plain.entry(*line).or_default().push(index + 1),
                parts if parts.iter().any(|part| !part.trim().is_empty()) => {
                    computed.push((index + 1, parts))
                }
                _ => {}
            }
        }
        computed.truncate(MOST_COMPUTED);
        Self { plain, computed }
    }

    /// The line that says most of this text; of several, the nearest to the place where it is expected.
    fn find(&self, text: &str, near: usize) -> Option<usize> {
        if text.trim().is_empty() {
            return None;
        }
        let nearest = |lines: &[usize]| lines.iter().copied().min_by_key(|line| line.abs_diff(near));
        if let Some(line) = self.plain.get(text).and_then(|lines| nearest(lines)) {
            return Some(line);
        }
        let fitting = self.computed.iter().filter(|(_, parts)| fits(text, parts));
        let said = |parts: &[&str]| parts.iter().map(|part| part.trim().len()).sum::<usize>();
        fitting
            .max_by_key(|(line, parts)| (said(parts), std::cmp::Reverse(line.abs_diff(near))))
            .map(|(line, _)| *line)
    }
}

/// The text of a line around what the template computes or says to itself.
fn literals(line: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), line);
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        parts.push(rest.get(..start).unwrap_or_default());
        let inside = rest.get(start..).unwrap_or_default();
        let end = ["}}", "%}", "#}"].iter().filter_map(|close| inside.find(close)).min();
        // What is open at the end of the line goes on below.
        rest = end.map_or("", |end| inside.get(end + 2..).unwrap_or_default());
    }
    parts.push(rest);
    parts
}

/// Whether a text has these parts in their order, the first at its beginning and the last at its end.
fn fits(text: &str, parts: &[&str]) -> bool {
    let (Some((first, others)), Some(last)) = (parts.split_first(), parts.last()) else { return false };
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    let between = others.len().saturating_sub(1);
    for part in others.iter().take(between) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{compare, fits, literals};

    #[test]
    fn a_line_is_found_where_it_was_written_or_made() {
        let written = "{% set x = 1 %}\n{% set y = 2 %}\na:\n  test.nop:\n    - x: {{ x }}\n    - y: 2\n";
        let rendered = "\n\na:\n  test.nop:\n    - x: 1\n    - y: 2\n";
        let found = |line: usize| compare(written, rendered).get(line - 1).map(|f| (f.line, f.same));
        assert_eq!([found(3), found(5), found(6)], [Some((3, true)), Some((5, false)), Some((6, true))]);
        let looped = "{% for i in range(2) %}\nx{{ i }}: test.nop\n{% endfor %}\nlast: test.nop\n";
        let rendered = "\nx0: test.nop\n\nx1: test.nop\n\nlast: test.nop\n";
        let found = |line: usize| compare(looped, rendered).get(line - 1).map(|f| (f.line, f.same));
        assert_eq!(found(6), Some((4, true)));
        assert_eq!([found(2), found(4)], [Some((2, false)); 2]);
    }
    #[test]
    fn each_round_of_a_loop_is_made_by_the_same_lines() {
        let written = "\n\n{% for d in ['a', 'b'] %}\nfile_{{ d }}:\n  file.managed:\n    - name: /srv/{{ d }}.conf\n    \
                       - mode: '0644'\n{% endfor %}\nfile_x:\n  test.nop: []\n";
        let round = |d: &str| {
            format!("\nfile_{d}:\n  file.managed:\n    - name: /srv/{d}.conf\n    - mode: '0644'\n")
        };
        let rendered = format!("\n\n{}{}\nfile_x:\n  test.nop: []\n", round("a"), round("b"));
        let lines: Vec<usize> = compare(written, &rendered).iter().map(|found| found.line).collect();
        let of = |text: &str| -> Vec<usize> {
            let places = rendered.lines().zip(&lines).filter(|(line, _)| *line == text);
            places.map(|(_, line)| *line).collect()
        };
        assert_eq!(
            (
                of("file_a:"),
                of("file_b:"),
                of("    - name: /srv/b.conf"),
                of("    - mode: '0644'"),
                of("file_x:")
            ),
            (vec![4], vec![4], vec![6], vec![7, 7], vec![9])
        );
    }

    #[test]
    fn a_line_fits_around_what_it_computes() {
        assert_eq!(literals("a {{ b }} c {# d #}"), ["a ", " c ", ""]);
        assert!(fits("a x c ", &["a ", " c ", ""]) && fits("aXbYc", &["a", "b", "c"]));
        assert!(!fits("a", &["a", "a"]) && !fits("abc", &["a", "x", "c"]));
    }
}
