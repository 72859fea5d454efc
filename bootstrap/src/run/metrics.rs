//! What `/metrics` says of the status: Prometheus' text format. Pure.

use super::phase::Phase;
use super::status::{Converge, Drift, Status};
use std::fmt::Write;

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Samples of one name, each with its labels.
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
        let _ = writeln!(self.0, "# HELP mayfly_{name} {help}\n# TYPE mayfly_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "mayfly_{name}{labels} {value}");
        }
    }

    /// What can go down too, without labels.
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help, &[(String::new(), value)]);
    }

    /// What is only counted up, without labels.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, &[(String::new(), value as f64)]);
    }

    /// What is only counted up, by the value of a label.
    fn counters(&mut self, name: &str, help: &str, label: &str, counts: &[(&str, u64)]) {
        let sample = |(value, count): &(&str, u64)| (format!("{{{label}=\"{value}\"}}"), *count as f64);
        self.family(name, "counter", help, &counts.iter().map(sample).collect::<Vec<_>>());
    }
}

impl Status {
    /// Prometheus' text format.
    pub(crate) fn metrics(&self) -> String {
        let mut text = Text::default();
        self.of_instance(&mut text);
        self.of_totals(&mut text);
        self.of_services(&mut text);
        self.of_watches(&mut text);
        if let Some(converge) = &self.converge {
            of_converge(converge, &mut text);
        }
        if let Some(drift) = &self.drift {
            of_drift(drift, &mut text);
        }
        text.gauge("remote_up", "1 when the remote answered last time.", flag(self.remote.ok));
        text.0
    }

    fn of_instance(&self, text: &mut Text) {
        let commit = self.commit.as_deref().unwrap_or("");
        let who = [
            ("id", self.id.as_str()),
            ("role", &self.role),
            ("environment", &self.environment),
            ("commit", commit),
            ("version", self.version),
        ];
        let labels: Vec<String> = who.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let info = format!("{{{}}}", labels.join(","));
        text.family("info", "gauge", "Who this instance is.", &[(info, 1.0)]);
        let help = "1 when the last converge succeeded and its services run.";
        text.gauge("ready", help, flag(self.ready));
        let phase = |name: &&str| (format!("{{phase=\"{name}\"}}"), flag(*name == self.phase));
        let phases: Vec<_> = Phase::NAMES.iter().map(phase).collect();
        text.family("phase", "gauge", "1 for the phase the program is in.", &phases);
    }

    fn of_totals(&self, text: &mut Text) {
        let t = &self.totals;
        let results = [("ok", t.converges_ok), ("failed", t.converges_failed)];
        text.counters("converges_total", "Converges by result.", "result", &results);
        let results = [("ok", t.fetches_ok), ("failed", t.fetches_failed)];
        text.counters("fetches_total", "Questions to the remote by result.", "result", &results);
        let causes = [
            ("watch", t.watch_restarts),
            ("converge", t.converge_restarts),
            ("supervisor", t.supervisor_restarts),
        ];
        text.counters("restarts_total", "Service restarts by cause.", "cause", &causes);
    }

    fn of_services(&self, text: &mut Text) {
        let down = self.services.iter().filter(|s| s.state != "running").count();
        text.gauge("services_down", "Services of the states that do not run.", down as f64);
    }

    fn of_watches(&self, text: &mut Text) {
        let standing = |what: &str| {
            let failures = self.watches.iter().map(|rule| &rule["last_failure"]);
            failures.filter(|failure| failure["standing"] == true && failure["what"] == what).count() as f64
        };
        let edited = self.watches.iter().filter_map(|rule| rule["edited"].as_array()).map(Vec::len);
        let held = self.watches.iter().filter(|rule| rule["state"] == "held").count();
        let t = &self.totals;
        text.counter("watch_checks_failed_total", "Checks that kept a watch from acting.", t.checks_failed);
        text.counter("watch_actions_failed_total", "Actions of watches that failed.", t.actions_failed);
        text.gauge("watch_checks_failing", "Rules whose check still fails.", standing("check"));
        text.gauge("watch_actions_failing", "Rules whose action still fails.", standing("action"));
        text.counter("edits_reverted_total", "Files edited by hand that were put back.", t.edits_reverted);
        let help = "Files of the states that are as somebody edited them.";
        text.gauge("watch_edited_files", help, edited.sum::<usize>() as f64);
        text.gauge("watch_held", "Changes that wait for their rule's rate.", held as f64);
    }
}

fn of_converge(converge: &Converge, text: &mut Text) {
    let seconds = converge.duration_ms / 1000.0;
    text.gauge("converge_duration_seconds", "Duration of the last converge.", seconds);
    text.gauge("converge_timestamp_seconds", "Start of the last converge.", converge.started);
    text.gauge("converge_steps", "Steps of the last converge.", converge.steps as f64);
    text.gauge("converge_changed", "Steps that changed something.", converge.changed as f64);
    text.gauge("converge_failed", "Steps that failed.", converge.failed.len() as f64);
}

fn of_drift(drift: &Drift, text: &mut Text) {
    let help = "Steps that would change something, as last looked for.";
    text.gauge("drift_states", help, drift.count as f64);
    text.gauge("drift_failed", "Steps that could not be looked at.", drift.failed as f64);
    text.gauge("drift_ok", "1 when all could be looked at.", flag(drift.error.is_none()));
    text.gauge("drift_timestamp_seconds", "When drift was looked for.", drift.checked);
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_well_formed() {
        let mut status = Status {
            id: "a\"b".into(),
            converge: Some(Converge::default()),
            drift: Some(Drift::default()),
            ..Status::default()
        };
        status.settle(&Phase::Identity { reason: None });
        let text = status.metrics();
        assert!(text.contains("mayfly_info{id=\"a\\\"b\",role=\"\""), "{text}");
        assert!(
            text.contains("\nmayfly_phase{phase=\"identity\"} 1\n") && text.contains("\nmayfly_ready 0\n")
        );
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let value = line.rsplit(' ').next().unwrap();
            assert!(line.starts_with("mayfly_") && value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
