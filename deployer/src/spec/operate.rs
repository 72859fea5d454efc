//! The keys of operation: who is told, which commands run beside the steps, and when to deploy.

use super::keys::{DEPLOYMENT, hook_points};
use super::table::{Read, Table};
use super::{DEFAULT_ENVIRONMENT, Setting, nearest};
use mayfly_ami::schedule::Schedule;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// A value that is no one's business: written out, or in an environment variable.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the spec.
    Plain(String),
    /// In this variable.
    Variable(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Variable(name) => write!(f, "Variable({name})"),
        }
    }
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The plan is known and begins.
    Start,
    /// Done.
    Success,
    /// Failed, and something is left or nothing was done.
    Failure,
    /// Failed, and all is as it was.
    Rollback,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Start, Self::Success, Self::Failure, Self::Rollback];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Rollback => "rollback",
        }
    }
}

/// Who gets notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address.
    pub url: Secret,
    /// Which notices it gets.
    pub on: Vec<Notice>,
}

/// Where GitHub deployments are reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Github {
    /// `OWNER/NAME`.
    pub repository: String,
    /// What is deployed there, if not what is found out.
    pub reference: Option<String>,
    /// The API's address, if not GitHub's own.
    pub api: Option<String>,
    /// The variable that holds the token.
    pub token_env: String,
}

/// On which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it.
    Before,
    /// After it.
    After,
}

/// What a hook runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A program and its arguments.
    Program(Vec<String>),
    /// A line for `/bin/sh`.
    Shell(String),
}

/// What a failing hook after a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It is said.
    #[default]
    GoOn,
    /// The step fails, and all is undone.
    Undo,
}

/// A command of the user's own beside a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// On which side.
    pub when: When,
    /// Names of steps, or `deployment`.
    pub steps: Vec<String>,
    /// What runs.
    pub command: Command,
    /// How long it may take.
    pub timeout: Duration,
    /// What a failure after the step leads to.
    pub on_failure: OnFailure,
}

impl Hook {
    /// The hook in one line: its program alone, for arguments may be secrets and this is told to others.
    #[must_use]
    pub fn words(&self) -> String {
        let what = match &self.command {
            Command::Program(words) => words.first().map_or("nothing", String::as_str),
            Command::Shell(_) => "a line for the shell",
        };
        let side = if self.when == When::Before { "before" } else { "after" };
        format!("hook {side} {}: {what}", self.steps.join(", "))
    }
}

/// One time at which `mayfly schedule` deploys.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleEntry {
    /// Cron expression, checked.
    pub cron: String,
    /// Which environment.
    pub environment: String,
    /// What is set in the pillar.
    pub settings: Vec<Setting>,
}

/// A cron expression and what it means.
pub(super) fn cron(table: &Table<'_>, name: &str) -> Read<Option<(String, Schedule)>> {
    let Some(text) = table.text(name)? else { return Ok(None) };
    let schedule = Schedule::parse(&text).map_err(|why| table.value(name, why))?;
    Ok(Some((text, schedule)))
}

pub(super) fn notify(top: &Table<'_>) -> Read<Vec<Webhook>> {
    top.sections("notify")?.iter().map(webhook).collect()
}

fn webhook(table: &Table<'_>) -> Read<Webhook> {
    let node = table.get("webhook").ok_or_else(|| table.missing("webhook"))?;
    let url = match &node.value {
        super::node::Value::Text(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Secret::Plain(url.clone())
        }
        super::node::Value::Text(_) => {
            return Err(table.value("webhook", "an address begins with https:// (or http://)"));
        }
        _ => {
            let from = table.section("webhook")?.ok_or_else(|| table.missing("webhook"))?;
            Secret::Variable(from.text("env")?.ok_or_else(|| from.missing("env"))?)
        }
    };
    let on = match table.list("on")? {
        None => Notice::ALL.to_vec(),
        Some(words) => words.iter().map(|word| notice(table, word)).collect::<Read<_>>()?,
    };
    Ok(Webhook { url, on })
}

fn notice(table: &Table<'_>, word: &str) -> Read<Notice> {
    let found = Notice::ALL.into_iter().find(|notice| notice.word() == word);
    found.ok_or_else(|| table.value("on", unlisted(word, &Notice::ALL.map(Notice::word))))
}

fn unlisted(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("`{word}` is not known; did you mean `{near}`?"),
        None => format!("`{word}` is not one of {}", known.join(", ")),
    }
}

pub(super) fn github(top: &Table<'_>) -> Read<Option<Github>> {
    let Some(table) = top.section("github")? else { return Ok(None) };
    let repository = table.text("repository")?.ok_or_else(|| table.missing("repository"))?;
    let sound =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !repository.split_once('/').is_some_and(|(owner, name)| sound(owner) && sound(name)) {
        return Err(table.value("repository", format!("`{repository}` is not OWNER/NAME")));
    }
    let api = table.text("api")?;
    if api.as_ref().is_some_and(|api| !api.starts_with("https://") && !api.starts_with("http://")) {
        return Err(table.value("api", "an address begins with https:// (or http://)"));
    }
    Ok(Some(Github {
        repository,
        reference: table.text("ref")?,
        api: api.map(|api| api.trim_end_matches('/').to_owned()),
        token_env: table.text("token_env")?.unwrap_or_else(|| "GITHUB_TOKEN".to_owned()),
    }))
}

pub(super) fn hooks(top: &Table<'_>) -> Read<Vec<Hook>> {
    top.sections("hooks")?.iter().map(hook).collect()
}

fn hook(table: &Table<'_>) -> Read<Hook> {
    let (before, after) = (table.texts("before")?, table.texts("after")?);
    let (when, key, steps) = match (before, after) {
        (Some(steps), None) => (When::Before, "before", steps),
        (None, Some(steps)) => (When::After, "after", steps),
        (None, None) => return Err(table.missing("before")),
        _ => return Err(table.value("after", "a hook stands before or after its steps, not both")),
    };
    let known = hook_points();
    if let Some(odd) = steps.iter().find(|step| !known.contains(&step.as_str())) {
        return Err(table.value(key, unlisted(odd, &known)));
    }
    if when == When::Before && steps.iter().any(|step| step == DEPLOYMENT) {
        return Err(
            table.value(key, "the first step is `lock`; `deployment` is its end and goes with `after`")
        );
    }
    let on_failure = table.word("on_failure")?;
    if when == When::Before && on_failure.is_some() {
        return Err(table.value("on_failure", "a hook before a step that fails always fails the step"));
    }
    Ok(Hook {
        when,
        steps,
        command: command(table)?,
        timeout: table.duration("timeout")?.unwrap_or(Duration::from_secs(300)),
        on_failure: if on_failure.as_deref() == Some("undo") { OnFailure::Undo } else { OnFailure::GoOn },
    })
}

fn command(table: &Table<'_>) -> Read<Command> {
    match (table.list("run")?, table.text("shell")?) {
        (Some(words), None) if words.first().is_some_and(|program| !program.is_empty()) => {
            Ok(Command::Program(words))
        }
        (Some(_), None) => Err(table.value("run", "the list is empty")),
        (None, Some(line)) => Ok(Command::Shell(line)),
        (None, None) => Err(table.missing("run")),
        _ => Err(table.value("shell", "give `run` or `shell`, not both")),
    }
}

pub(super) fn schedules(top: &Table<'_>) -> Read<Vec<ScheduleEntry>> {
    top.sections("schedules")?.iter().map(schedule).collect()
}

fn schedule(table: &Table<'_>) -> Read<ScheduleEntry> {
    let (cron, meaning) = cron(table, "cron")?.ok_or_else(|| table.missing("cron"))?;
    if matches!(meaning, Schedule::Never) {
        return Err(table.value("cron", "leave the schedule out in place of `never`"));
    }
    let environment = table.text("env")?.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned());
    let mut settings = Vec::new();
    for (key, value) in table.free("set")? {
        settings.push(setting(&key, value).map_err(|why| table.value("set", why))?);
    }
    Ok(ScheduleEntry { cron, environment, settings })
}

fn setting(key: &str, value: Value) -> Result<Setting, String> {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("`{key}` has an empty part"));
    }
    Ok(Setting { path, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ImageRef, Spec};

    const GOOD: &str = "service: s\nimage: ami-1\nstates: {url: u}\nprobe: none\n";

    fn read(more: &str) -> Result<Spec, String> {
        Spec::parse(&format!("{GOOD}{more}\n"), "f", "production", &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_operates_is_read() {
        let spec = read(
            "notify: [{webhook: {env: HOOK}, on: [failure]}, {webhook: 'https://x/y'}]\n\
             github: {repository: acme/states, api: 'https://git.example/api/v3/'}\n\
             hooks: [{before: register, run: [a, 'b c'], timeout: 90s}, {after: [probe, deployment], shell: 'x | y'}]\n\
             schedules: [{cron: '0 3 * * 1-5', set: {app.version: '2', app.workers: 3}}]\n\
             metadata: {ticket: OPS-1}",
        );
        let spec = spec.expect("a spec");
        assert_eq!(spec.notify[0].url, Secret::Variable("HOOK".into()));
        assert_eq!((spec.notify[0].on.as_slice(), spec.notify[1].on.len()), (&[Notice::Failure][..], 4));
        let github = spec.github.expect("GitHub");
        assert_eq!(github.api.as_deref(), Some("https://git.example/api/v3"));
        assert_eq!(spec.hooks[0].words(), "hook before register: a");
        assert_eq!(spec.hooks[0].timeout, Duration::from_secs(90));
        assert_eq!(spec.hooks[1].command, Command::Shell("x | y".into()));
        let paths: Vec<String> = spec.schedules[0].settings.iter().map(|set| set.path.join(".")).collect();
        assert_eq!(paths, ["app.version", "app.workers"]);
    }

    #[test]
    fn mistakes_are_said_with_their_place_and_the_nearest_word() {
        let refused = |more: &str| read(more).expect_err("refused");
        let cases = [
            ("enviroments: {}", "f:5:1: unknown key `enviroments`; did you mean `environments`?"),
            (
                "environments: {qa: {environments: {}}}",
                "f:5:35: `environments.qa.environments`: an environment has no environments of its own",
            ),
            (
                "hooks: [{befor: probe, run: [x]}]",
                "f:5:10: unknown key `hooks[0].befor`; did you mean `before`?",
            ),
            (
                "hooks: [{before: regster, run: [x]}]",
                "f:5:18: `hooks[0].before`: `regster` is not known; did you mean `register`?",
            ),
            (
                "hooks: [{before: probe, run: x}]",
                "f:5:30: `hooks[0].run` must be a list of text, but is text",
            ),
            ("hooks: [{before: probe, run: []}]", "f:5:30: `hooks[0].run`: the list is empty"),
            (
                "notify: [{webhook: 'https://x', on: [sucess]}]",
                "f:5:37: `notify[0].on`: `sucess` is not known; did you mean `success`?",
            ),
            ("github: {repository: acme}", "f:5:22: `github.repository`: `acme` is not OWNER/NAME"),
            (
                "schedules: [{cron: '0 3 * *'}]",
                "f:5:20: `schedules[0].cron`: a cron expression has 5 fields, or 6 with seconds first; this has 4",
            ),
            (
                "schedule: soon",
                "f:5:11: `schedule`: a cron expression has 5 fields, or 6 with seconds first; this has 1",
            ),
        ];
        for (more, words) in cases {
            assert_eq!(refused(more), words);
        }
    }

    #[test]
    fn a_secret_is_not_shown_and_one_way_to_an_image_is_enough() {
        let spec = read("notify: [{webhook: 'https://x/S3CRET'}]").expect("a spec");
        assert!(!format!("{spec:?}").contains("S3CRET"));
        let image = |text: &str| {
            let text = GOOD.replace("image: ami-1", &format!("image: {text}"));
            let spec = Spec::parse(&text, "f", "production", &[]);
            spec.map(|spec| spec.image).map_err(|error| error.to_string())
        };
        assert_eq!(image("{ssm: /aws/x}"), Ok(ImageRef::Parameter("/aws/x".into())));
        assert_eq!(image("{baked: web}"), Ok(ImageRef::Baked("web".into())));
        let refused = |text: &str| image(text).expect_err("refused");
        assert_eq!(refused("{ssm: /x, baked: y}"), "f:2:8: `image`: give one of `name`, `ssm` and `baked`");
        assert_eq!(refused("{ssm: /x, owner: y}"), "f:2:25: `image.owner`: `owner` goes with `name`");
        assert_eq!(refused("{ssm: 'a b'}"), "f:2:14: `image.ssm`: `a b` is no name of an SSM parameter");
    }
}
