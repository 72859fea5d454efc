//! Where a line of a rendered text stands in the template that it came from: found only when an error needs it.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use similar::{DiffOp, TextDiff};

use crate::error::{Error, Fault};
use crate::low::Origin;

/// Comparing two very different texts is given up after this long; the lines are then those of the rendered text.
const PATIENCE: Duration = Duration::from_millis(500);

/// The files whose text a template changed: what was written, and what came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lines(HashMap<String, (Rc<str>, Rc<str>)>);

/// Where something stands in the template.
struct Found {
    line: usize,
    /// The line is there as it was rendered.
    same: bool,
}

impl Lines {
    /// Keeps a file whose rendered text is another than its own.
    pub(crate) fn keep(&mut self, file: &str, written: &str, rendered: &str) {
        if written != rendered {
            self.0.insert(file.to_owned(), (written.into(), rendered.into()));
        }
    }

    /// Adds the files of another.
    pub(crate) fn extend(&mut self, other: &Lines) {
        self.0.extend(other.0.iter().map(|(file, texts)| (file.clone(), texts.clone())));
    }

    /// The same place in the template.
    pub(crate) fn origin(&self, at: &Origin) -> Origin {
        match self.0.get(&at.file).and_then(|(written, rendered)| find(written, rendered, at.line)) {
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
        let Some((written, rendered)) = self.0.get(&at.file) else { return error };
        let Some(found) = find(written, rendered, at.line) else { return error };
        error.place.placed = true;
        error.place.origin = Some(self.origin(&at));
        let line =
            if found.same { written.lines().nth(found.line - 1) } else { rendered.lines().nth(at.line - 1) };
        error.place.line = line.map(|l| l.chars().take(200).collect());
        if found.same { error } else { error.note("the line shown is what the template made of its own") }
    }
}

/// The line of the template that a line of the rendered text came from, or the one that made it.
fn find(written: &str, rendered: &str, line: usize) -> Option<Found> {
    let (old, new): (Vec<&str>, Vec<&str>) = (written.lines().collect(), rendered.lines().collect());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    let index = line.checked_sub(1)?;
    let op = diff.ops().iter().find(|op| op.new_range().contains(&index))?;
    let same = matches!(op, DiffOp::Equal { .. });
    let within = if same { index - op.new_range().start } else { 0 };
    // What a template adds is made by the line before, where it replaces none.
    let start = op.old_range().start + within;
    let line = if op.old_range().is_empty() { start.max(1) } else { start + 1 };
    Some(Found { line: line.min(old.len().max(1)), same })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_line_is_found_where_it_was_written_or_made() {
        let written = "{% set x = 1 %}\n{% set y = 2 %}\na:\n  test.nop:\n    - x: {{ x }}\n    - y: 2\n";
        let rendered = "\n\na:\n  test.nop:\n    - x: 1\n    - y: 2\n";
        let found = |line| find(written, rendered, line).map(|f| (f.line, f.same));
        assert_eq!([found(3), found(5), found(6)], [Some((3, true)), Some((5, false)), Some((6, true))]);
        let looped = "{% for i in range(2) %}\nx{{ i }}: test.nop\n{% endfor %}\nlast: test.nop\n";
        let rendered = "\nx0: test.nop\n\nx1: test.nop\n\nlast: test.nop\n";
        let found = |line| find(looped, rendered, line).map(|f| (f.line, f.same));
        assert_eq!(found(6), Some((4, true)));
        assert!(found(4).is_some_and(|(line, same)| line <= 3 && !same));
    }
}
