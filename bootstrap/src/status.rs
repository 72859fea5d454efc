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
    let word = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), str::to_owned);
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "{key:<12} {value}");
    };
    let ready =
        if status["ready"] == Value::Bool(true) { "ready".to_owned() } else { word(&status["phase"]) };
    line("id", word(&status["id"]));
    line("state", ready);
    if let Some(reason) = status["reason"].as_str() {
        line("reason", reason.lines().collect::<Vec<_>>().join("\n             "));
    }
    line("role", format!("{} ({})", word(&status["role"]), word(&status["environment"])));
    line("deployment", word(&status["deployment"]));
    line("commit", word(&status["commit"]));
    let remote = &status["remote"];
    let answer = remote["error"].as_str().map_or_else(|| "answers".to_owned(), str::to_owned);
    line("remote", format!("{} {}: {answer}", word(&remote["url"]), word(&remote["ref"])));
    if let Some(last) = status["converge"].as_object() {
        let number = |key: &str| last.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let failed = last.get("failed").and_then(Value::as_array).map_or(0, Vec::len);
        let (steps, changed) = (number("steps"), number("changed"));
        line(
            "converge",
            format!("{steps} steps, {changed} changed, {failed} failed, {:.0} ms", number("duration_ms")),
        );
    }
    for service in status["services"].as_array().into_iter().flatten() {
        line("service", format!("{}: {}", word(&service["name"]), word(&service["state"])));
    }
    for restart in status["restarts"].as_array().into_iter().flatten().rev().take(5) {
        line(
            "restart",
            format!(
                "{} {}: {}",
                word(&restart["action"]),
                word(&restart["service"]),
                word(&restart["cause"])
            ),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_fact_a_line() {
        let status = serde_json::json!({
            "id": "web-1", "phase": "failed", "ready": false, "reason": "a.sls:1:2: no\n  help: yes", "role": "web",
            "environment": "staging", "services": [{"name": "nginx", "state": "running"}], "remote": {"url": "u", "ref": "main"},
            "converge": {"steps": 3, "changed": 1, "failed": [], "duration_ms": 12.3}
        });
        let text = text(&status);
        for line in [
            "id           web-1\n",
            "state        failed\n",
            "service      nginx: running\n",
            "3 steps, 1 changed, 0 failed, 12 ms",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
