//! `mayfly status` and `inventory`.
// Effects: the terminal, signals.

use super::args::Target;
use super::deploy::{cloud, commit, spec};
use super::operator::{InventoryArgs, StatusArgs, Targets};
use super::{CliError, file, print};
use crate::cloud::{Cloud, Tags};
use crate::exit::ExitCode;
use crate::inventory::{self, Wanted};
use crate::report::Output;
use crate::spec::{Address, Spec};
use crate::status::{self, Environment};
use crate::{naming, system};
use chrono::SecondsFormat;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// What is known of one environment, or why nothing is.
type Seen = (String, Result<Environment, String>);

/// The specs of the environments that are asked for.
fn specs(targets: &Targets) -> Result<Vec<Spec>, CliError> {
    let names = match &targets.env {
        Some(name) => vec![name.clone()],
        None => {
            let (text, file) = file::text(&targets.file)?;
            Spec::environments(&text, &file)?
        }
    };
    names.into_iter().map(|env| spec(&Target { file: targets.file.clone(), env }, &[])).collect()
}

pub(super) async fn status(args: &StatusArgs, json: bool) -> Result<ExitCode, CliError> {
    let specs = specs(&args.targets)?;
    let mut looker = Looker::new(specs).await;
    if args.watch {
        return watch(args, &mut looker, json).await;
    }
    let seen = looker.look().await;
    print(&if json { format!("{}\n", looker.json(&seen)) } else { looker.text(&seen) });
    // One environment that cannot be read does not keep the others from being shown.
    Ok(if seen.iter().any(|(_, result)| result.is_err()) { ExitCode::RolledBack } else { ExitCode::Done })
}

struct Looker {
    specs: Vec<(Spec, Arc<dyn Cloud>)>,
    /// The deployed commit and the branch's, which are not asked for again and again.
    commits: Vec<(Option<String>, Option<String>)>,
    currents: Vec<Option<String>>,
}

impl Looker {
    async fn new(specs: Vec<Spec>) -> Self {
        let mut clouds = Vec::new();
        let mut commits = Vec::new();
        for spec in specs {
            commits.push((commit(&spec).await.ok(), None));
            let cloud = cloud(&spec).await;
            clouds.push((spec, cloud));
        }
        let currents = vec![None; clouds.len()];
        Self { specs: clouds, commits, currents }
    }

    async fn look(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (number, (spec, cloud)) in self.specs.iter().enumerate() {
            let result = status::look(cloud.as_ref(), spec).await.map_err(|error| error.to_string());
            let result = match result {
                Ok(mut environment) => {
                    let (Some(current), Some(commits)) =
                        (self.currents.get_mut(number), self.commits.get_mut(number))
                    else {
                        continue;
                    };
                    if environment.current.is_some() && *current != environment.current {
                        commits.1 = status::deployed_commit(cloud.as_ref(), spec).await.ok().flatten();
                        current.clone_from(&environment.current);
                    }
                    (environment.commit, environment.deployed_commit) = commits.clone();
                    Ok(environment)
                }
                Err(why) => Err(why),
            };
            seen.push((spec.environment.clone(), result));
        }
        seen
    }

    fn service(&self) -> &str {
        self.specs.first().map_or("", |(spec, _)| spec.service.as_str())
    }

    fn json(&self, seen: &[Seen]) -> Value {
        let one = |(name, result): &Seen| match result {
            Ok(environment) => json!(environment),
            Err(why) => json!({"environment": name, "error": why}),
        };
        json!({"service": self.service(), "environments": seen.iter().map(one).collect::<Vec<_>>()})
    }

    fn text(&self, seen: &[Seen]) -> String {
        let mut text = format!("{}\n", self.service());
        for (name, result) in seen {
            match result {
                Ok(environment) => text.push_str(&environment.text()),
                Err(why) => text.push_str(&format!("{name:<12} cannot be read: {why}\n")),
            }
        }
        text
    }
}

/// Looks again and again until Ctrl-C or SIGTERM, which are the ordinary end of it.
async fn watch(args: &StatusArgs, looker: &mut Looker, json: bool) -> Result<ExitCode, CliError> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [Ok(mut interrupt), Ok(mut terminate)] = kinds.map(signal) else {
        return Err(CliError::Machine("signals cannot be listened to".to_owned()));
    };
    let screen = (!json && std::io::stdout().is_terminal()).then(screen);
    let mut last = String::new();
    loop {
        let look = async {
            let seen = looker.look().await;
            if json { format!("{}\n", looker.json(&seen)) } else { looker.text(&seen) }
        };
        let now = tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            now = look => now,
        };
        match &screen {
            Some(bar) => bar.set_message(format!("{now}{} (Ctrl-C ends)", clock())),
            None if now != last => print(&if json { now.clone() } else { format!("{}\n{now}", clock()) }),
            None => {}
        }
        last = now;
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(args.interval) => {}
        }
    }
    if let Some(bar) = &screen {
        bar.finish_and_clear();
        print(&last);
    }
    Ok(ExitCode::Done)
}

/// A message that replaces itself.
fn screen() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
}

fn clock() -> String {
    system::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) async fn inventory(args: &InventoryArgs, output: Output) -> Result<ExitCode, CliError> {
    let specs = specs(&args.targets)?;
    let Some(first) = specs.first() else { return Ok(ExitCode::Done) };
    let probe = first.probe.as_ref();
    let wanted = Wanted {
        role: args.role.clone(),
        environment: args.targets.env.clone(),
        address: args.address.or(probe.map(|probe| probe.address)).unwrap_or(Address::Private),
    };
    let tags = Tags::from([(naming::SERVICE.to_owned(), first.service.clone())]);
    let mut instances = Vec::new();
    let mut regions = Vec::new();
    for spec in &specs {
        if !regions.contains(&&spec.region) {
            regions.push(&spec.region);
            instances.extend(cloud(spec).await.instances_tagged(&tags).await?);
        }
    }
    let hosts = inventory::hosts(&instances, &wanted);
    print(&inventory::render(&hosts, output, args.port.or(probe.map(|probe| probe.port))));
    Ok(ExitCode::Done)
}
