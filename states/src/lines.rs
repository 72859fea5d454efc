//! Where a line of a rendered text stands in the template that it came from: found only when a report or an error needs it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use similar::{DiffOp, TextDiff};

use crate::error::{Error, Fault};
use crate::low::Origin;

/// Comparing two very different texts is given up after this long; the lines are then those of the rendered text.
const PATIENCE: Duration = Duration::from_millis(500);

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

    /// Adds the files of another.
    pub(crate) fn extend(&mut self, other: &Lines) {
        self.0.extend(other.0.iter().map(|(file, texts)| (file.clone(), texts.clone())));
    }

    /// The same place in the template.
    pub(crate) fn origin(&self, at: &Origin) -> Origin {
        match self.0.get(&at.file).and_then(|file| file.find(at.line)) {
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
        let Some(file) = self.0.get(&at.file) else { return error };
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

/// For each line of the rendered text the line of the template that it came from, or the one that made it.
fn compare(written: &str, rendered: &str) -> Vec<Found> {
    let (old, new): (Vec<&str>, Vec<&str>) = (written.lines().collect(), rendered.lines().collect());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    let of_op = |op: &DiffOp| {
        let same = matches!(op, DiffOp::Equal { .. });
        let range = op.old_range();
        // What a template adds is made by the line before, where it replaces none.
        let start = if range.is_empty() { range.start.max(1) } else { range.start + 1 };
        let last = old.len().max(1);
        (0..op.new_range().len())
            .map(move |within| Found { line: (start + if same { within } else { 0 }).min(last), same })
    };
    diff.ops().iter().flat_map(of_op).collect()
}

#[cfg(test)]
mod tests {
    use super::compare;

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
        assert!(found(4).is_some_and(|(line, same)| line <= 3 && !same));
    }
}
