//! `mayfly-boot status`: asks the resident program on this machine.

use crate::cli::{ApplyOutput, StatusArgs};
use crate::exit::Exit;
use crate::http::{Cancel, Http, Peer};
use crate::say;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

const MAX_STATUS: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// Steps that are named, of many.
const NAMED: usize = 5;

/// Asks, prints, and says by the exit code whether the instance is ready.
///
/// # Errors
/// An answer that is no status.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let http = Http::new(Peer::Local, PATIENCE, Cancel::default())?;
    let url = format!("http://{}/status", args.listen);
    let body = match http.fetch(http.client().get(&url).timeout(PATIENCE), MAX_STATUS) {
        Ok((200, body)) => body,
        Ok((code, _)) => anyhow::bail!("{url}: HTTP {code}; is that another program's port?"),
        Err(error) => {
            say::warn(format_args!("nothing answers at {url}: {error}; is `mayfly-boot run` running?"));
            return Ok(Exit::NoAnswer);
        }
    };
    let status: Value = serde_json::from_slice(&body)?;
    match args.output {
        ApplyOutput::Json => {
            let text = serde_json::to_string_pretty(&status)?;
            say::result(|out| writeln!(out, "{text}"))?;
        }
        ApplyOutput::Text => print!("{}", text(&status)),
    }
    Ok(if status["ready"] == Value::Bool(true) { Exit::Ok } else { Exit::NotReady })
}

/// The document for people. Pure.
fn text(status: &Value) -> String {
    let mut page = Page::default();
    page.identity(status);
    page.remote(&status["remote"]);
    page.converge(status);
    page.services(status);
    page.watches(status);
    page.drift(&status["drift"]);
    for restart in list(&status["restarts"]).iter().rev().take(5) {
        let [action, service, cause] = ["action", "service", "cause"].map(|key| word(&restart[key]));
        let times = restart["times"].as_u64().filter(|times| *times > 1);
        let times = times.map(|times| format!(" ({times} times)")).unwrap_or_default();
        page.line("restart", format!("{} {action} {service}: {cause}{times}", time(&restart["at"])));
    }
    page.0
}

/// One fact a line.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, key: &str, value: impl AsRef<str>) {
        let value = value.as_ref().trim_end().replace('\n', "\n             ");
        let _ = writeln!(self.0, "{key:<12} {value}");
    }

    fn identity(&mut self, status: &Value) {
        self.line("id", word(&status["id"]));
        self.line("state", state(status));
        if let Some(reason) = status["reason"].as_str() {
            self.line("reason", reason);
        }
        self.line("role", format!("{} ({})", word(&status["role"]), word(&status["environment"])));
        self.line("deployment", word(&status["deployment"]));
        self.line("commit", word(&status["commit"]));
        if let Some(applied) = status["applied"].as_str().filter(|_| status["applied"] != status["commit"]) {
            self.line("runs", format!("what {applied} says"));
        }
        if status["good"].is_string() && status["good"] != status["commit"] {
            self.line("last good", word(&status["good"]));
        }
        if status["upgrade_refused"].is_object() {
            let refused = &status["upgrade_refused"];
            let [program, reason] = ["program", "reason"].map(|key| word(&refused[key]));
            self.line("upgrade", format!("{} {program} was not started: {reason}", time(&refused["at"])));
        }
    }

    fn remote(&mut self, remote: &Value) {
        let answer = match (&remote["error"], &remote["checked"]) {
            (Value::String(error), _) => error.clone(),
            (_, Value::Null) => "not asked yet".to_owned(),
            _ => "answers".to_owned(),
        };
        self.line("remote", format!("{} {}: {answer}", word(&remote["url"]), word(&remote["ref"])));
    }

    fn converge(&mut self, status: &Value) {
        let step = &status["step"];
        if step.is_object() {
            let beside = match number(&step["beside"]) {
                0.0 => String::new(),
                more => format!(" and {more} beside it"),
            };
            let (index, total, since) =
                (number(&step["index"]), number(&step["total"]), time(&step["since"]));
            self.line("step", format!("[{index}/{total}] {}, since {since}{beside}", named(step)));
        }
        let last = &status["converge"];
        let failed = list(&last["failed"]);
        let (steps, changed) = (number(&last["steps"]), number(&last["changed"]));
        match &last["error"] {
            _ if last.is_null() => {}
            Value::String(error) => self.line("converge", format!("cannot be applied: {error}")),
            _ => self.line(
                "converge",
                format!(
                    "{steps} steps, {changed} changed, {} failed, {:.0} ms",
                    failed.len(),
                    number(&last["duration_ms"])
                ),
            ),
        }
        for step in failed.iter().take(NAMED) {
            self.line("failed", format!("{}: {}", named(step), word(&step["comment"])));
        }
        if status["retry_at"].is_number() {
            self.line("retry", time(&status["retry_at"]));
        }
    }

    fn services(&mut self, status: &Value) {
        for service in list(&status["services"]) {
            self.line(
                "service",
                format!("{}: {}{}", word(&service["name"]), word(&service["state"]), why(service)),
            );
        }
    }

    /// What is not as it should be; the rules that are quiet are many, and stand in the other form.
    fn watches(&mut self, status: &Value) {
        for rule in list(&status["watches"]) {
            let name = word(&rule["rule"]);
            let failure = &rule["last_failure"];
            if failure["standing"] == Value::Bool(true) {
                let (what, at) = (word(&failure["what"]), time(&failure["at"]));
                let failed = format!("{at} {what} of {name} for {} failed", word(&rule["service"]));
                self.line("watch", format!("{failed}: {}", word(&failure["reason"])));
            }
            if rule["held_until"].is_number() {
                self.line("watch", format!("{name} is held by its rate until {}", time(&rule["held_until"])));
            }
            for path in list(&rule["edited"]) {
                self.line("edited", format!("{} by hand ({name})", word(path)));
            }
        }
        if let Some(why) = status["watching"]["degraded"].as_str() {
            self.line("watching", why);
        }
    }

    fn drift(&mut self, drift: &Value) {
        if let Some(error) = drift["error"].as_str() {
            self.line("drift", format!("cannot be looked for: {error}"));
        }
        for step in list(&drift["states"]).iter().take(NAMED) {
            self.line("drift", named(step));
        }
    }
}

/// How it stands, in a few words.
fn state(status: &Value) -> String {
    let phase = word(&status["phase"]);
    let ready = (status["ready"] == Value::Bool(true)).then(|| word(&status["ready_commit"]));
    match (phase.as_str(), ready) {
        ("converging", Some(with)) => format!("converging {} (ready with {with})", word(&status["commit"])),
        ("converging", None) => format!("converging {}", word(&status["commit"])),
        // Every step went well, and something has ended since.
        ("ready", None) => "not ready".to_owned(),
        (_, Some(_)) => "ready".to_owned(),
        (_, None) => phase,
    }
}

/// How a service that does not run has ended, as far as its supervisor tells.
fn why(service: &Value) -> String {
    let mut why = String::new();
    if service["state"] == "running" {
        return why;
    }
    if let Some(end) = service["last_end"].as_str() {
        let _ = write!(why, ", it {end}");
    }
    if number(&service["failures"]) > 1.0 {
        let _ = write!(why, ", {} times in a row", number(&service["failures"]));
    }
    if service["next_try"].is_number() {
        let _ = write!(why, ", next try {}", time(&service["next_try"]));
    }
    why
}

/// A step: what it does, and where it stands.
fn named(step: &Value) -> String {
    let [function, name, origin] = ["function", "name", "origin"].map(|key| word(&step[key]));
    format!("{function} {name} ({origin})")
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Seconds since the epoch, as people read them.
fn time(value: &Value) -> String {
    let at = value.as_f64().and_then(|at| chrono::DateTime::from_timestamp(at as i64, 0));
    at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn text_is_one_fact_a_line() {
        let status = json!({
            "id": "web-1", "phase": "failed", "ready": false, "reason": "a.sls:1:2: no\n  help: yes", "role": "web",
            "environment": "staging", "services": [{"name": "nginx", "state": "running"}],
            "remote": {"url": "u", "ref": "main"}, "retry_at": 60.5,
            "converge": {"steps": 3, "changed": 1, "failed": [{"function": "cmd.run", "name": "x", "origin": "a.sls:1:1",
                "comment": "exit 3"}], "duration_ms": 12.3}
        });
        let lines = [
            "id           web-1\n",
            "state        failed\n",
            "reason       a.sls:1:2: no\n               help: yes\n",
            "remote       u main: not asked yet\n",
            "service      nginx: running\n",
            "3 steps, 1 changed, 1 failed, 12 ms",
            "failed       cmd.run x (a.sls:1:1): exit 3\n",
            "retry        1970-01-01 00:01:00 UTC\n",
        ];
        has(&text(&status), &lines);
    }

    #[test]
    fn what_is_wrong_is_seen_without_reading_the_other_form() {
        let status = json!({
            "phase": "ready", "ready": false, "reason": "service app is not running: stopped", "commit": "new",
            "applied": "old", "good": "old", "remote": {"checked": 1.0, "error": null},
            "services": [
                {"name": "app", "state": "stopped", "last_end": "exited with status 3", "failures": 2, "next_try": 5.0},
                {"name": "web", "state": "running", "last_end": "exited with status 0", "failures": 0},
            ],
            "converge": {"error": "a.sls:3:1: no such state", "steps": 0, "failed": []},
            "watches": [
                {"rule": "r", "service": "app", "edited": ["/etc/a"], "held_until": null,
                 "last_failure": {"at": 0.0, "what": "check", "reason": "line 7: no", "standing": true}},
                {"rule": "fine", "edited": [], "last_failure": {"at": 0.0, "what": "action", "standing": false}},
            ],
            "restarts": [{"at": 61.0, "action": "restart", "service": "app", "cause": "/etc/a"},
                {"at": 62.0, "action": "start", "service": "app", "cause": "exited with status 3", "times": 4}],
        });
        let text = text(&status);
        let lines = [
            "state        not ready\n",
            "commit       new\nruns         what old says\nlast good    old\n",
            ": answers\n",
            "converge     cannot be applied: a.sls:3:1: no such state\n",
            "service      app: stopped, it exited with status 3, 2 times in a row, next try 1970-01-01 00:00:05 UTC\n",
            "service      web: running\n",
            "watch        1970-01-01 00:00:00 UTC check of r for app failed: line 7: no\n",
            "edited       /etc/a by hand (r)\n",
            "restart      1970-01-01 00:01:02 UTC start app: exited with status 3 (4 times)\n",
            "restart      1970-01-01 00:01:01 UTC restart app: /etc/a\n",
        ];
        has(&text, &lines);
        assert!(!text.contains("fine") && !text.contains("0 steps"), "{text}");
    }

    #[test]
    fn what_runs_now_is_named() {
        let mut status = json!({
            "phase": "converging", "ready": true, "ready_commit": "old", "commit": "new",
            "step": {"index": 7, "total": 7, "function": "cmd.run", "name": "x", "origin": "a.sls:1:1", "since": 0.0,
                "beside": 2}
        });
        let step =
            "step         [7/7] cmd.run x (a.sls:1:1), since 1970-01-01 00:00:00 UTC and 2 beside it\n";
        has(&text(&status), &["state        converging new (ready with old)\n", step]);
        status["ready"] = false.into();
        has(&text(&status), &["state        converging new\n"]);
    }
}
