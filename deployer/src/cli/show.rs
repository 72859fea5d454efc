//! `mayfly status`, `history`, `unlock`, `sandbox` and `completions`.

use super::args::{Cli, Target, UnlockArgs};
use super::deploy::{cloud, spec};
use super::{CliError, print};
use crate::cloud::{Health, Instance, Member};
use crate::exit::ExitCode;
use crate::history::{self, Entry};
use crate::lock::{self, LockError};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::{naming, system};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::CommandFactory;
use mayfly_sandbox::cli::SandboxCommand;
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) async fn status(target: &Target, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(target, &[])?;
    let cloud = cloud(&spec).await;
    let snapshot = Snapshot::read(cloud.as_ref(), &spec).await?;
    let holder = lock::holder_of(cloud.as_ref(), &spec).await?;
    let holder = holder.map(|held| held.holder.to_string());
    print(&if json {
        format!("{}\n", status_json(&spec, &snapshot, holder.as_deref()))
    } else {
        status_text(&spec, &snapshot, holder.as_deref())
    });
    Ok(ExitCode::Done)
}

/// The balancer's view of an instance: `in service`, …, or that it is not a member.
fn view<'a>(snapshot: &'a Snapshot, instance: &Instance) -> Option<&'a Member> {
    let mut all = snapshot.balancers.iter().flat_map(|(_, members)| members);
    all.find(|member| member.instance == instance.id)
}

fn current(snapshot: &Snapshot) -> Option<&String> {
    snapshot.record.as_ref().and_then(|record| record.tags.get(naming::CURRENT))
}

fn status_json(spec: &Spec, snapshot: &Snapshot, lock: Option<&str>) -> Value {
    let instance = |instance: &Instance| {
        let health = view(snapshot, instance).map(|member| member.health.words());
        json!({
            "id": instance.id, "state": instance.state.word(), "deployment": instance.tags.get(naming::DEPLOYMENT),
            "health": health, "private_ip": instance.private_ip, "public_ip": instance.public_ip,
            "zone": instance.zone, "launched": instance.launched.map(time),
        })
    };
    json!({
        "service": spec.service, "environment": spec.environment, "desired": spec.count,
        "current": current(snapshot), "lock": lock,
        "balancers": snapshot.balancers.iter().map(|(b, _)| json!({"name": b.name, "dns_name": b.dns_name}))
            .collect::<Vec<_>>(),
        "instances": snapshot.instances.iter().map(instance).collect::<Vec<_>>(),
    })
}

fn status_text(spec: &Spec, snapshot: &Snapshot, lock: Option<&str>) -> String {
    let live = snapshot.instances.len();
    let mut text =
        format!("{} in {}: {live} of {} instances live", spec.service, spec.environment, spec.count);
    for (balancer, members) in &snapshot.balancers {
        let ours = snapshot.instances.iter().filter_map(|instance| view(snapshot, instance));
        let serving = ours.filter(|member| member.health == Health::InService).count();
        let address = balancer.dns_name.as_deref().unwrap_or("no address");
        let _ = write!(text, ", {serving} in service with {} ({address})", balancer.name);
        let foreign =
            members.len().saturating_sub(snapshot.instances.iter().filter_map(|i| view(snapshot, i)).count());
        if foreign > 0 {
            let _ = write!(text, " beside {foreign} that are not Mayfly's");
        }
    }
    let _ = writeln!(text, "\ncurrent deployment: {}", current(snapshot).map_or("none yet", String::as_str));
    for instance in &snapshot.instances {
        let health = view(snapshot, instance).map_or("not a member", |member| member.health.words());
        let health = if !snapshot.balancers.is_empty() { health } else { "" };
        let address = instance.public_ip.as_deref().or(instance.private_ip.as_deref()).unwrap_or("-");
        let deployment = instance.tags.get(naming::DEPLOYMENT).map_or("-", String::as_str);
        let _ = writeln!(
            text,
            "  {:<20} {:<8} {health:<15} {address:<16} {deployment}",
            instance.id,
            instance.state.word()
        );
    }
    if let Some(lock) = lock {
        let _ = writeln!(text, "{lock}");
    }
    text
}

pub(super) async fn history(target: &Target, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(target, &[])?;
    let entries = history::read(cloud(&spec).await.as_ref(), &spec.service, &spec.environment).await?;
    print(&if json { format!("{}\n", json!(entries)) } else { history_text(&spec, &entries) });
    Ok(ExitCode::Done)
}

fn history_text(spec: &Spec, entries: &[Entry]) -> String {
    if entries.is_empty() {
        return format!("{} in {} was never deployed\n", spec.service, spec.environment);
    }
    let mut text = String::new();
    for entry in entries {
        let when = entry.when.map_or_else(|| "-".to_owned(), time);
        let commit = entry.commit.as_deref().map_or("-", |commit| commit.get(..12).unwrap_or(commit));
        let _ = writeln!(
            text,
            "{:>4}  {when:<20}  {:<11}  {commit:<12}  {:<21}  {:<20}  {}",
            entry.number,
            entry.ending.word(),
            entry.image,
            entry.who,
            entry.deployment
        );
    }
    text
}

pub(super) async fn unlock(args: &UnlockArgs) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let cloud = cloud(&spec).await;
    let Some(held) = lock::holder_of(cloud.as_ref(), &spec).await? else {
        print("there is no lock\n");
        return Ok(ExitCode::Done);
    };
    let stale = held.holder.is_stale(&system::holder(), system::now(), &system::is_alive);
    if !stale && !args.force {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"mayfly: the holder may be at work; `--force` removes the lock all the same\n",
        );
        return Err(LockError::Taken(Box::new(held.holder)).into());
    }
    lock::release(cloud.as_ref(), &held).await?;
    print(&format!("removed: {}\n", held.holder));
    Ok(ExitCode::Done)
}

pub(super) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mayfly", &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// The sandbox has its own commands; `--output json` means their `--json`.
pub(super) async fn sandbox(mut command: SandboxCommand, json: bool) -> Result<ExitCode, CliError> {
    if let SandboxCommand::Down(place)
    | SandboxCommand::Status(place)
    | SandboxCommand::Env(place)
    | SandboxCommand::Logs { place, .. }
    | SandboxCommand::Image { place } = &mut command
    {
        place.json |= json;
    }
    mayfly_sandbox::cli::run(command, &mut std::io::stdout()).await.map_err(Box::new)?;
    Ok(ExitCode::Done)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
