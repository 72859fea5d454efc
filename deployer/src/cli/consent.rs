//! Consent: asked for on a terminal, and given from elsewhere to a deployment that pauses.

use super::CliError;
use crate::cloud::{Cloud, Tags};
use crate::plan::{Plan, Task};
use crate::run::Asker;
use crate::spec::Spec;
use crate::{lock, naming, system};
use async_trait::async_trait;
use std::io::{self, IsTerminal, Write};

/// Whether somebody is there to be asked.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Shows the plan and asks.
pub(super) fn approve(plan: Plan) -> Result<Plan, CliError> {
    if asked(&format!("{plan}{} [y/N] ", verb(plan.task))) { Ok(plan) } else { Err(CliError::Declined) }
}

fn verb(task: Task) -> &'static str {
    match task {
        Task::Deploy => "deploy?",
        Task::Rollback(_) => "roll back?",
        Task::Promote => "promote?",
        Task::Abort => "take back?",
        Task::Recover => "recover?",
    }
}

/// Asks a person, where there is one.
pub(super) fn agrees(question: &str) -> bool {
    is_terminal() && asked(&format!("{question} [y/N] "))
}

fn asked(question: &str) -> bool {
    let mut stderr = io::stderr().lock();
    let shown = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = shown.and_then(|()| io::stdin().read_line(&mut answer));
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// The person at the terminal.
pub(super) struct Terminal;

#[async_trait]
impl Asker for Terminal {
    /// Asks on a thread of its own, which nothing waits for when the run is interrupted meanwhile.
    async fn ask(&self, question: &str) -> bool {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let question = format!("{question} [y/N] ");
        std::thread::spawn(move || {
            let _ = sender.send(asked(&question));
        });
        receiver.await.unwrap_or(false)
    }
}

/// Tells a deployment that pauses in another process to go on, or to be taken back. `None` when none does.
pub(super) async fn answer_pause(
    cloud: &dyn Cloud,
    spec: &Spec,
    task: Task,
) -> Result<Option<String>, CliError> {
    let word = match task {
        Task::Promote => "go",
        Task::Abort => "abort",
        Task::Deploy | Task::Rollback(_) | Task::Recover => return Ok(None),
    };
    let Some(record) = cloud.template(&naming::record(&spec.service, &spec.environment)).await? else {
        return Ok(None);
    };
    let Some(paused) = record.tags.get(naming::PAUSED).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let held = lock::holder_of(cloud, spec).await?;
    let works =
        held.is_some_and(|held| !held.holder.is_stale(&system::holder(), system::now(), &system::is_alive));
    if !works {
        return Ok(None);
    }
    let deployment = paused.split(' ').next().unwrap_or_default();
    let answer = Tags::from([(naming::ANSWER.to_owned(), format!("{word} {deployment}"))]);
    cloud.tag(&record.id, &answer).await?;
    let told = if word == "go" { "goes on" } else { "is taken back" };
    Ok(Some(format!("told {deployment}, which paused: it {told}\n")))
}
