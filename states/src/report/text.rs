//! A report as people read it: what changed, what failed and why, short enough that the cause is seen.

use std::fmt::Write;

use super::{Outcome, Report, StepReport};
use crate::value::Value;

/// Lines of a diff, and of anything else, that are shown.
const DIFF_LINES: usize = 200;
const OUTPUT_LINES: usize = 20;
/// Characters of a line.
const WIDTH: usize = 400;
/// Steps kept back by a failed one that are named.
const MOST_KEPT_BACK: usize = 5;

pub(super) fn summary(report: &Report) -> String {
    let mut text = String::new();
    let (kept_back, told): (Vec<&StepReport>, Vec<&StepReport>) =
        report.steps.iter().filter(|s| s.is_news()).partition(|s| s.is_kept_back());
    told.iter().for_each(|step| describe(step, &mut text));
    for step in kept_back.iter().take(MOST_KEPT_BACK) {
        let _ = writeln!(text, "not run: {}", heading(step));
        block(&mut text, &step.comment, 2, OUTPUT_LINES);
    }
    if kept_back.len() > MOST_KEPT_BACK {
        let more = kept_back.len() - MOST_KEPT_BACK;
        let _ = writeln!(text, "not run: {more} more, because of what failed");
    }
    text.push_str(&report.unfinished());
    let _ = writeln!(text, "{}", totals(report));
    text
}

pub(super) fn totals(report: &Report) -> String {
    let count = |wanted: &dyn Fn(&StepReport) -> bool| report.steps.iter().filter(|s| wanted(s)).count();
    let changed = count(&|s| s.outcome == Outcome::Ok && !s.changes.is_empty());
    let would = count(&|s| s.outcome == Outcome::WouldChange);
    let failed = count(&|s| s.outcome == Outcome::Failed && !s.is_kept_back());
    let not_run = count(&StepReport::is_kept_back) + report.left.len();
    let all = report.steps.len() + report.left.len();
    let seconds = report.steps.iter().map(|s| s.duration_ms).fold(0.0, |sum, ms| sum + ms) / 1000.0;
    let part = |number: usize, what: &str| match number {
        0 => String::new(),
        number => format!(", {number} {what}"),
    };
    let steps = if all == 1 { "step" } else { "steps" };
    let (would, not_run) = (part(would, "would change"), part(not_run, "not run"));
    format!("{all} {steps}: {changed} changed{would}, {failed} failed{not_run} ({seconds:.2} s)")
}

fn describe(step: &StepReport, text: &mut String) {
    let word = match (step.outcome, step.changes.is_empty()) {
        (Outcome::Failed, _) => "failed",
        (Outcome::WouldChange, _) => "would change",
        (Outcome::Ok, false) => "changed",
        (Outcome::Ok, true) => "ok",
    };
    let _ = writeln!(text, "{word}: {}", heading(step));
    block(text, &step.comment, 2, OUTPUT_LINES);
    for warning in &step.warnings {
        block(text, &format!("warning: {warning}"), 2, OUTPUT_LINES);
    }
    for (key, value) in &step.changes {
        change(text, key, value, 2);
    }
}

/// Function, id, name where that is another, and place, on one line.
fn heading(step: &StepReport) -> String {
    let state = step.tag.split("_|-").next().unwrap_or_default();
    let fun = step.tag.rsplit("_|-").next().unwrap_or_default();
    let name = if step.name == step.id { String::new() } else { format!(", {}", one_line(&step.name)) };
    format!("{state}.{fun} {}{name} ({})", one_line(&step.id), step.origin)
}

/// A name may be a whole script.
fn one_line(name: &str) -> String {
    let first = name.lines().next().unwrap_or_default();
    let shown = narrow(first);
    if name.trim_end().len() > first.len() && !shown.ends_with('…') { shown + " …" } else { shown }
}

/// Not too wide, and without what a terminal would obey: files of anybody are quoted.
fn narrow(line: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let mut shown: String = line.chars().take(WIDTH).map(plain).collect();
    if shown.len() < line.len() && line.chars().nth(WIDTH).is_some() {
        shown.push('…');
    }
    shown
}

fn change(text: &mut String, key: &str, value: &Value, depth: usize) {
    let pad = " ".repeat(depth);
    match value {
        Value::Map(map) if !map.is_empty() && depth < 12 => {
            let _ = writeln!(text, "{pad}{key}:");
            for (key, value) in map {
                change(text, key, value, depth + 2);
            }
        }
        Value::Str(s) if s.is_empty() => {}
        Value::Str(s) if s.contains('\n') => {
            let _ = writeln!(text, "{pad}{key}:");
            block(text, s, depth + 2, if key == "diff" { DIFF_LINES } else { OUTPUT_LINES });
        }
        Value::Str(s) => {
            let _ = writeln!(text, "{pad}{key}: {}", narrow(s));
        }
        other => {
            let json = serde_json::to_string(other).unwrap_or_default();
            let _ = writeln!(text, "{pad}{key}: {}", narrow(&json));
        }
    }
}

/// A text of several lines. Of a long one the first lines say what it is and the last why.
fn block(text: &mut String, block: &str, depth: usize, most: usize) {
    let pad = " ".repeat(depth);
    let all = block.lines().count();
    let head = if all > most { most / 4 } else { all };
    let left_out = all.saturating_sub(most);
    for (n, line) in block.lines().enumerate() {
        if n == head && left_out > 0 {
            let _ = writeln!(text, "{pad}… {left_out} lines left out");
        }
        if n < head || n >= head + left_out {
            let _ = writeln!(text, "{pad}{}", narrow(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::low::Origin;
    use crate::report::KEPT_BACK;

    fn step(id: &str, name: &str, outcome: Outcome) -> StepReport {
        StepReport {
            tag: format!("cmd_|-{id}_|-{name}_|-run"),
            id: id.to_owned(),
            name: name.to_owned(),
            sls: "web".to_owned(),
            origin: Origin { file: "web.sls".into(), line: 3, column: 1 },
            outcome,
            changes: crate::value::Map::new(),
            comment: "a comment".to_owned(),
            warnings: Vec::new(),
            ran: true,
            run_num: 0,
            duration_ms: 0.0,
            started: 0.0,
        }
    }

    fn report(steps: Vec<StepReport>) -> Report {
        Report { steps, ..Report::default() }
    }

    #[test]
    fn an_id_is_told_and_of_a_script_only_its_first_line() {
        let text = summary(&report(vec![step("build", "echo a\nexit 3\n", Outcome::Failed)]));
        assert_eq!(
            text,
            "failed: cmd.run build, echo a … (web.sls:3:1)\n  a comment\n1 step: 0 changed, 1 failed (0.00 s)\n"
        );
    }

    #[test]
    fn what_a_failure_keeps_back_does_not_bury_it() {
        let kept = |n: usize| StepReport {
            comment: format!("{KEPT_BACK}: cmd.run `cause`"),
            ran: false,
            ..step(&format!("d{n}"), &format!("d{n}"), Outcome::Failed)
        };
        let steps: Vec<StepReport> =
            [step("cause", "cause", Outcome::Failed)].into_iter().chain((0..40).map(kept)).collect();
        let text = summary(&report(steps));
        assert!(
            text.starts_with("failed: cmd.run cause (web.sls:3:1)\n") && text.lines().count() < 20,
            "{text}"
        );
        assert!(text.ends_with(
            "not run: 35 more, because of what failed\n41 steps: 0 changed, 1 failed, 40 not run (0.00 s)\n"
        ));
    }

    #[test]
    fn of_a_long_output_the_beginning_and_the_end_are_shown() {
        let mut long = step("a", "a", Outcome::Failed);
        let lines: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
        long.changes.insert("stdout".to_owned(), Value::Str(lines));
        long.comment = format!("\u{1b}]0;x\u{7}{}", "x".repeat(5000));
        let text = summary(&report(vec![long]));
        assert!(text.contains("    line 5\n    … 980 lines left out\n    line 986\n"), "{text}");
        assert!(text.contains("    line 1000\n") && text.len() < 2000 && !text.contains('\u{1b}'));
    }
}
