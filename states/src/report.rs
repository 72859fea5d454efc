//! What a converge did, in the shape of Salt's state returns.

mod text;

use std::fmt::Write as _;

use serde::ser::SerializeMap as _;

use crate::low::Origin;
use crate::value::Map;

/// A step's outcome (Salt: `true`, `false`, and `null` for "would change" in test mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Ok,
    /// Not as asked.
    Failed,
    /// Test mode: it would change.
    WouldChange,
}

/// One step's return.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// `state_|-id_|-name_|-fun`.
    pub tag: String,
    /// The declaration's id.
    pub id: String,
    /// The name it worked on.
    pub name: String,
    /// The SLS it came from.
    pub sls: String,
    /// Where it was declared.
    pub origin: Origin,
    /// How it ended.
    pub outcome: Outcome,
    /// What changed, as Salt words it; empty when nothing did.
    pub changes: Map,
    /// A sentence or more for people.
    pub comment: String,
    /// What looks wrong though nothing failed: misspelt arguments, options without effect.
    pub warnings: Vec<String>,
    /// Whether the state function ran; `false` when requisites or conditions kept it from running.
    pub ran: bool,
    /// Position in the run, from 0.
    pub run_num: usize,
    /// Milliseconds.
    pub duration_ms: f64,
    /// Start, as seconds since the epoch.
    pub started: f64,
}

/// How the comment of a step begins that a failed one kept from running.
pub(crate) const KEPT_BACK: &str = "Not run, because what it requires has failed";
/// How many of the steps that were not run are named to people.
const MOST_LEFT: usize = 20;

/// A whole converge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// In run order.
    pub steps: Vec<StepReport>,
    /// Why the run ended before its last step; `None` when it did not.
    pub stopped: Option<String>,
    /// What was not run because of that: `state.fun `id` (place)`.
    pub left: Vec<String>,
}

/// A step as Salt's state return.
struct SaltReturn<'r>(&'r StepReport);

impl serde::Serialize for SaltReturn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let step = self.0;
        let result = match step.outcome {
            Outcome::Ok => Some(true),
            Outcome::Failed => Some(false),
            Outcome::WouldChange => None,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &step.name)?;
        map.serialize_entry("changes", &step.changes)?;
        map.serialize_entry("result", &result)?;
        map.serialize_entry("comment", &step.comment)?;
        map.serialize_entry("__sls__", &step.sls)?;
        map.serialize_entry("__run_num__", &step.run_num)?;
        map.serialize_entry("start_time", &time_of_day(step.started))?;
        map.serialize_entry("duration", &step.duration_ms)?;
        map.serialize_entry("__id__", &step.id)?;
        if !step.ran {
            map.serialize_entry("__state_ran__", &false)?;
        }
        if !step.warnings.is_empty() {
            map.serialize_entry("warnings", &step.warnings)?;
        }
        map.end()
    }
}

/// `HH:MM:SS.micros` in UTC, as Salt writes `start_time`.
fn time_of_day(epoch: f64) -> String {
    let micros = (epoch.max(0.0) * 1e6).round() as u64;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

impl Report {
    /// Whether no step failed and the run went to its end.
    pub fn ok(&self) -> bool {
        self.stopped.is_none() && self.failed().next().is_none()
    }

    /// The failed steps.
    pub fn failed(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|s| s.outcome == Outcome::Failed)
    }

    /// How many steps changed something, or would.
    pub fn changed(&self) -> usize {
        self.steps.iter().filter(|s| !s.changes.is_empty()).count()
    }

    /// The state returns as `salt-call --local --out=json state.apply` has them below `local`: by tag, with `result`,
    /// `changes`, `comment`, `name`, `__id__`, `__sls__`, `__run_num__`, `start_time` and `duration`.
    pub fn to_salt_json(&self) -> serde_json::Value {
        // Text, whole numbers and finite ones: all of it has a form in JSON.
        let shown = |step| serde_json::to_value(SaltReturn(step)).unwrap_or_default();
        let steps = self.steps.iter().map(|step| (step.tag.clone(), shown(step)));
        serde_json::Value::Object(steps.collect())
    }

    /// The same, to be written step by step.
    pub fn salt_returns(&self) -> SaltReturns<'_> {
        SaltReturns(self)
    }

    /// A summary for people: what changed and what failed, with diffs, and one line of totals. Steps that were as asked
    /// are only counted, and long outputs are cut.
    pub fn to_text(&self) -> String {
        text::summary(self)
    }

    /// Why the run ended early and what was not run; empty when it did not.
    pub fn unfinished(&self) -> String {
        let mut text = String::new();
        let Some(why) = &self.stopped else { return text };
        let _ = writeln!(text, "stopped: {why}");
        for step in self.left.iter().take(MOST_LEFT) {
            let _ = writeln!(text, "not run: {step}");
        }
        if self.left.len() > MOST_LEFT {
            let _ = writeln!(text, "not run: {} more", self.left.len() - MOST_LEFT);
        }
        text
    }

    /// One line: how many steps ran, changed, failed and were not run, and how long it took.
    pub fn totals(&self) -> String {
        text::totals(self)
    }
}

/// A report as Salt's state returns; see [`Report::to_salt_json`].
#[derive(Debug)]
pub struct SaltReturns<'r>(&'r Report);

impl serde::Serialize for SaltReturns<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.steps.iter().map(|step| (&step.tag, SaltReturn(step))))
    }
}

impl StepReport {
    /// Whether a summary tells of it.
    pub(crate) fn is_news(&self) -> bool {
        self.outcome != Outcome::Ok || !self.changes.is_empty() || !self.warnings.is_empty()
    }

    /// Whether it was kept from running by a step that failed.
    pub(crate) fn is_kept_back(&self) -> bool {
        self.outcome == Outcome::Failed && !self.ran && self.comment.starts_with(KEPT_BACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn step(outcome: Outcome, changes: &[(&str, &str)]) -> StepReport {
        StepReport {
            tag: "file_|-conf_|-/etc/web.conf_|-managed".to_owned(),
            id: "conf".to_owned(),
            name: "/etc/web.conf".to_owned(),
            sls: "web".to_owned(),
            origin: Origin { file: "web.sls".into(), line: 3, column: 1 },
            outcome,
            changes: changes.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned()))).collect(),
            comment: "a comment".to_owned(),
            warnings: Vec::new(),
            ran: true,
            run_num: 0,
            duration_ms: 1.5,
            started: 3_661.000_002,
        }
    }

    #[test]
    fn salt_json_has_salts_keys() {
        let report = Report {
            steps: vec![step(Outcome::WouldChange, &[("diff", "New file")])],
            stopped: None,
            left: Vec::new(),
        };
        let expected = serde_json::json!({"file_|-conf_|-/etc/web.conf_|-managed": {
            "name": "/etc/web.conf", "changes": {"diff": "New file"}, "result": null, "comment": "a comment",
            "__sls__": "web", "__run_num__": 0, "start_time": "01:01:01.000002",
            "duration": 1.5, "__id__": "conf",
        }});
        assert_eq!(report.to_salt_json(), expected);
        let written = serde_json::to_string(&report.salt_returns()).unwrap();
        assert_eq!(written, expected.to_string());
    }

    #[test]
    fn the_text_shows_news_only_and_counts_the_rest() {
        let steps = vec![
            step(Outcome::Ok, &[]),
            step(Outcome::Ok, &[("diff", "-a\n+b")]),
            step(Outcome::Failed, &[]),
        ];
        let text = Report { steps, stopped: None, left: Vec::new() }.to_text();
        let expected = "changed: file.managed conf, /etc/web.conf (web.sls:3:1)\n  a comment\n  diff:\n    -a\n    +b\n\
                        failed: file.managed conf, /etc/web.conf (web.sls:3:1)\n  a comment\n\
                        3 steps: 1 changed, 1 failed (0.00 s)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_run_that_was_stopped_is_not_ok() {
        assert!(
            !Report {
                steps: vec![step(Outcome::Ok, &[])],
                stopped: Some("cancelled".to_owned()),
                left: Vec::new()
            }
            .ok()
        );
    }
}
