//! `mayfly history` and `diff`.

use super::deploy::{cloud, spec, token};
use super::operator::{DiffArgs, HistoryArgs};
use super::{CliError, print};
use crate::diff::{self, Diff, Log};
use crate::exit::ExitCode;
use crate::history::{self, Entry, Whole};
use crate::spec::Spec;
use crate::{git_fetch, git_log};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

pub(super) async fn history(args: &HistoryArgs, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let all = history::read(cloud(&spec).await.as_ref(), &spec.service, &spec.environment).await?;
    if let Some(number) = args.number {
        let one = history::pick(&all, number)?.to_json(args.show_secrets);
        print(&if json { format!("{one}\n") } else { whole_text(&one) });
        return Ok(ExitCode::Done);
    }
    let entries: Vec<&Entry> = all.iter().take(args.limit).map(|whole| &whole.entry).collect();
    print(&if json { format!("{}\n", json!(entries)) } else { list_text(&spec, &entries, all.len()) });
    Ok(ExitCode::Done)
}

fn list_text(spec: &Spec, entries: &[&Entry], count: usize) -> String {
    if count == 0 {
        return format!("{} in {} was never deployed\n", spec.service, spec.environment);
    }
    let mut text = String::new();
    for entry in entries {
        let when = entry.when.map_or_else(|| "-".to_owned(), time);
        let commit = entry.commit.as_deref().map_or("-", |commit| commit.get(..12).unwrap_or(commit));
        let took = entry.seconds.map_or_else(|| "-".to_owned(), duration);
        let _ = writeln!(
            text,
            "{:>4}  {when:<20}  {:<11}  {took:<8}  {commit:<12}  {:<21}  {:<20}  {}{}",
            entry.number,
            entry.ending.word(),
            entry.image,
            entry.who,
            entry.deployment,
            parameters(entry)
        );
    }
    if entries.len() < count {
        let _ = writeln!(text, "and {} older; --limit shows more", count - entries.len());
    }
    text
}

fn parameters(entry: &Entry) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    entry.parameters.iter().map(|(key, value)| format!("  {key}={}", word(value))).collect()
}

/// One deployment for people: a key a line, deeper data as JSON.
fn whole_text(whole: &Value) -> String {
    let mut text = String::new();
    for (key, value) in whole.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(inner) if key == "user_data" => {
                let _ = writeln!(text, "{key}:");
                for (key, value) in inner {
                    let _ = writeln!(text, "  {key}: {}", word(value));
                }
            }
            other => {
                let _ = writeln!(text, "{key}: {}", word(other));
            }
        }
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) async fn diff(args: &DiffArgs, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let all = history::read(cloud(&spec).await.as_ref(), &spec.service, &spec.environment).await?;
    let newest = all.first().map_or(0, |whole| whole.entry.number);
    let (from, to) = (history::pick(&all, args.from)?, history::pick(&all, args.to.unwrap_or(newest))?);
    let diff = Diff { log: log(args, &spec, from, to).await, ..diff::compare(from, to, args.show_secrets) };
    print(&if json { format!("{}\n", json!(diff)) } else { diff.text() });
    Ok(ExitCode::Done)
}

/// The states' log out of a clone on this machine or, where none has both commits, of the remote repository.
async fn log(args: &DiffArgs, spec: &Spec, from: &Whole, to: &Whole) -> Option<Log> {
    let (before, after) = (from.entry.commit.as_deref()?, to.entry.commit.as_deref()?);
    if before == after {
        return None;
    }
    let deploy_url = spec.states.deploy_url.as_deref();
    let addresses: Vec<&str> = deploy_url.into_iter().chain([spec.states.tree.url.as_str()]).collect();
    let here = git_log::between(&git_log::places(&addresses, &args.target.file), before, after);
    let Log::Unknown { unknown } = here else { return Some(here) };
    let remote = deploy_url.unwrap_or(&spec.states.tree.url);
    Some(match git_fetch::history(remote, token().as_deref(), [before, after]).await {
        Ok(fetched) => git_log::between(&[fetched.path().to_owned()], before, after),
        Err(why) => Log::Unknown { unknown: format!("{why}; {unknown}") },
    })
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn duration(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string().replace(' ', "")
}
