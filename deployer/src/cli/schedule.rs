//! `mayfly schedule`: deployments at the spec's times, in the foreground.
// Effects: signals, the terminal.

use super::args::{Cli, Command, DeployArgs};
use super::operator::ScheduleArgs;
use super::{CliError, deploy, file, print};
use crate::exit::ExitCode;
use crate::notify::{self, About};
use crate::report::{self, Output};
use crate::schedule::{self, Turn};
use crate::spec::{DEFAULT_ENVIRONMENT, ScheduleEntry, Spec};
use crate::system;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Parser;
use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The longest sleep between two looks at the clock: it may be set, and the machine may have slept.
const LOOK: Duration = Duration::from_secs(20);

pub(super) async fn schedule(args: &ScheduleArgs, output: Output) -> Result<ExitCode, CliError> {
    let (entries, specs): (Vec<_>, Vec<_>) = entries(&args.file)?.into_iter().unzip();
    let schedules = schedule::meanings(&entries);
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return Err(CliError::Machine("signals cannot be listened to".to_owned()));
    };
    let mut runs =
        Runs { args, output, entries: &entries, specs, running: FuturesUnordered::new(), busy: Vec::new() };
    runs.hello();
    let mut seen = system::now();
    loop {
        let now = system::now();
        for turn in schedule::turns(&schedules, seen, now) {
            runs.turn(turn);
        }
        // A clock that was set back must not bring the same times again.
        seen = seen.max(now);
        let pause = schedule::next(&schedules, seen)
            .and_then(|next| next.signed_duration_since(system::now()).to_std().ok())
            .unwrap_or_default();
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
            Some(ended) = runs.running.next() => runs.ended(ended),
            () = tokio::time::sleep(pause.clamp(Duration::from_millis(10), LOOK)) => {}
        }
    }
    // The deployments have heard the signal too, and undo themselves in order.
    if !runs.running.is_empty() {
        runs.say("stopping", "waits until what runs is undone", None);
    }
    while let Some(ended) = runs.running.next().await {
        runs.ended(ended);
    }
    runs.say("stopped", "stopped", None);
    Ok(ExitCode::Done)
}

/// The spec's schedules, each with the spec of its environment, which must be there.
fn entries(path: &Path) -> Result<Vec<(ScheduleEntry, Spec)>, CliError> {
    let (text, name) = file::text(path)?;
    let environments = Spec::environments(&text, &name)?;
    let first = environments.first().map_or(DEFAULT_ENVIRONMENT, String::as_str);
    let entries = Spec::parse(&text, &name, first, &[])?.schedules;
    if entries.is_empty() {
        return Err(CliError::Usage(format!("{name} has no `schedules`; docs/spec.md shows what they take")));
    }
    let with_spec = |entry: ScheduleEntry| {
        let spec = Spec::parse(&text, &name, &entry.environment, &entry.settings)?;
        Ok((entry, spec))
    };
    entries.into_iter().map(with_spec).collect()
}

/// An environment, and how its deployment ended.
type Ended = (String, Result<ExitCode, CliError>);

struct Runs<'a> {
    args: &'a ScheduleArgs,
    output: Output,
    entries: &'a [ScheduleEntry],
    /// As they were at the start: they say whom to tell when the file has become unreadable.
    specs: Vec<Spec>,
    running: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    busy: Vec<String>,
}

impl Runs<'_> {
    fn hello(&self) {
        for entry in self.entries {
            self.say("scheduled", &format!("`{}` (UTC)", entry.cron), Some(&entry.environment));
        }
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Missed(number, at) => {
                let Some(entry) = self.entries.get(number) else { return };
                let text = format!("missed {}, skipped", time(at));
                self.say("missed", &text, Some(&entry.environment));
            }
            Turn::Due(number) => {
                let Some((entry, spec)) = self.entries.get(number).zip(self.specs.get(number)) else {
                    return;
                };
                self.due(entry, spec.clone());
            }
        }
    }

    fn due(&mut self, entry: &ScheduleEntry, spec: Spec) {
        let environment = entry.environment.clone();
        if self.busy.contains(&environment) {
            self.say("skipped", "skipped: the deployment before is still running", Some(&environment));
            return;
        }
        let args = match deploy_args(&self.args.file, entry) {
            Ok(args) => args,
            Err(error) => return self.say("failed", &error.to_string(), Some(&environment)),
        };
        self.say("begins", "deploys", Some(&environment));
        self.busy.push(environment.clone());
        let output = self.output;
        let run = async move {
            let result = deploy::deploy(&args, output).await;
            if let Err(error) = &result {
                tell(&args, spec, output, error).await;
            }
            (environment, result)
        };
        self.running.push(run.boxed_local());
    }

    fn ended(&mut self, (environment, result): Ended) {
        self.busy.retain(|busy| *busy != environment);
        match result {
            Ok(exit) => self.say("ended", &format!("ended with {}", exit.code()), Some(&environment)),
            Err(error) => self.say("failed", &error.to_string(), Some(&environment)),
        }
    }

    fn say(&self, event: &str, text: &str, environment: Option<&str>) {
        let now = time(system::now());
        if self.output == Output::Json {
            let line = json!({"event": format!("schedule-{event}"), "at": now, "environment": environment, "text": text});
            print(&format!("{line}\n"));
        } else {
            let environment = environment.map(|name| format!("{name}: ")).unwrap_or_default();
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{now} {environment}{text}\n"),
            );
        }
    }
}

/// Notices of a deployment that failed before it could be planned, to those whom the spec names now or named before.
async fn tell(args: &DeployArgs, before: Spec, output: Output, error: &CliError) {
    let spec = deploy::spec(&args.plan.target, &args.plan.settings).unwrap_or(before);
    let about = About {
        service: spec.service.clone(),
        environment: spec.environment.clone(),
        deployment: None,
        who: system::who(),
        commit: None,
        branch: Some(spec.states.reference().to_owned()),
        job: system::job(),
    };
    notify::unplanned(report::sink(output).as_ref(), &spec, &about, error.to_string()).await;
}

/// The arguments of a deployment as `mayfly deploy --yes` has them; what is set goes past the command line.
fn deploy_args(file: &Path, entry: &ScheduleEntry) -> Result<DeployArgs, CliError> {
    let words = ["mayfly", "deploy", "--yes", "--env", &entry.environment, "--file"];
    let words = words.iter().map(std::ffi::OsString::from).chain([file.as_os_str().to_owned()]);
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Deploy(mut args)) => {
            args.plan.settings.clone_from(&entry.settings);
            Ok(args)
        }
        Ok(_) => Err(CliError::Usage("no deployment".to_owned())),
        Err(error) => Err(CliError::Usage(error.to_string())),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
