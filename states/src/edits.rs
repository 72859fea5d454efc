//! What turns one list of lines into another, and the same as a unified diff. Lines are compared as numbers, so that the
//! algorithm is in the program once.
// Effects: the clock, which says when an answer may become coarse.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{DiffOp, DiffableStr, group_diff_ops};

/// Two texts that are very unlike get a coarser answer rather than a long wait.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines that are shown around a change.
const CONTEXT: usize = 3;

/// The edits in their order, with what stays between them.
pub(crate) fn edits<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<DiffOp> {
    let mut known = HashMap::new();
    let (old, new) = (numbered(old, &mut known), numbered(new, &mut known));
    let (old, new) = (old.as_slice(), new.as_slice());
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    let deadline = Some(Instant::now() + PATIENCE);
    match myers::diff_deadline(&mut hook, old, 0..old.len(), new, 0..new.len(), deadline) {
        Ok(()) => hook.into_inner().into_inner().into_ops(),
    }
}

/// The same number for the same line.
fn numbered<'t>(lines: &[&'t str], known: &mut HashMap<&'t str, usize>) -> Vec<usize> {
    let mut number = |line| {
        let next = known.len();
        *known.entry(line).or_insert(next)
    };
    lines.iter().map(|line| number(*line)).collect()
}

/// A unified diff without names; empty for equal texts.
pub(crate) fn unified(old: &str, new: &str) -> String {
    let (old, new) = (old.tokenize_lines(), new.tokenize_lines());
    let mut out = String::new();
    for hunk in group_diff_ops(edits(&old, &new), CONTEXT).iter().filter(|ops| !ops.is_empty()) {
        if out.is_empty() {
            out.push_str("--- \n+++ \n");
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", UnifiedHunkHeader::new(hunk));
        for change in hunk.iter().flat_map(|op| op.iter_changes(&old, &new)) {
            let line: &str = change.value();
            let end = if line.ends_with_newline() { "" } else { "\n\\ No newline at end of file\n" };
            let _ = write!(out, "{}{line}{end}", change.tag());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, Strategy, prop};
    use similar::TextDiff;

    use super::{edits, unified};

    fn texts() -> impl Strategy<Value = String> {
        let line = "(|a|b|c|d|server \\{|\\}|é|x\\r)(\n|\n|\n|\r\n|)";
        prop::collection::vec(line, 0..160).prop_map(|lines| lines.concat())
    }

    proptest::proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_what_the_library_writes(old in texts(), new in texts()) {
            let whole = TextDiff::from_lines(&old, &new);
            let expected = whole.unified_diff().context_radius(3).header("", "").to_string();
            proptest::prop_assert_eq!(unified(&old, &new), expected);
        }

        #[test]
        fn a_change_in_the_middle_is_found(text in texts(), at in 0..200_usize, cut in 0..5_usize) {
            let old: Vec<&str> = text.lines().collect();
            let mut new = old.clone();
            let from = at.min(new.len());
            new.splice(from..(from + cut).min(old.len()), ["new"]);
            let whole = TextDiff::from_slices(&old, &new);
            proptest::prop_assert_eq!(edits(&old, &new), whole.ops());
        }
    }
}
