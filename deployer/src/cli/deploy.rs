//! `mayfly plan`, `deploy`, `rollback`, `promote`, `abort` and `recover`.
// Effects: the spec file, signals.
#![allow(clippy::disallowed_methods)]

use super::args::{Consent, DeployArgs, PlanArgs, RollbackArgs, StepArgs, Target};
use super::{CliError, consent, print};
use crate::cloud::{Aws, AwsOptions, Cloud};
use crate::exit::ExitCode;
use crate::notify::{self, About};
use crate::plan::{self, Identity, Intent, Plan, Task};
use crate::report::{self, Output};
use crate::run::{self, Asker, Canceller, Context, HttpProber, Order};
use crate::snapshot::Snapshot;
use crate::spec::{At, Problem, Setting, Spec, SpecError};
use crate::{git_ref, system};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Reads the spec that the arguments name.
pub(super) fn spec(target: &Target, settings: &[Setting]) -> Result<Spec, CliError> {
    let (file, text) = read(&target.file)?;
    Ok(Spec::parse(&text, &file, &target.env, settings)?)
}

/// The spec in each of its environments.
pub(super) fn specs(file: &Path) -> Result<Vec<Spec>, CliError> {
    let (file, text) = read(file)?;
    let environments = Spec::environments(&text, &file)?;
    let one = |environment: &String| Spec::parse(&text, &file, environment, &[]);
    Ok(environments.iter().map(one).collect::<Result<_, _>>()?)
}

fn read(path: &Path) -> Result<(String, String), CliError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| SpecError {
        file: file.clone(),
        at: None::<At>,
        problem: Box::new(Problem::Unreadable(error.to_string())),
    })?;
    Ok((file, text))
}

pub(super) async fn cloud(spec: &Spec) -> Arc<dyn Cloud> {
    Arc::new(Aws::connect(&AwsOptions { region: spec.region.clone() }).await)
}

/// The commit that the spec's branch points to now, asked where the deployer can reach the repository.
pub(super) async fn commit(spec: &Spec) -> Result<String, CliError> {
    let url = spec.states.deploy_url.as_ref().unwrap_or(&spec.states.tree.url);
    Ok(git_ref::resolve(url, spec.states.reference(), token().as_deref()).await?)
}

/// What reads the state repository over HTTPS.
pub(super) fn token() -> Option<String> {
    std::env::var("MAYFLY_GIT_TOKEN").ok().filter(|token| !token.is_empty())
}

pub(super) async fn plan(args: &PlanArgs, json: bool) -> Result<ExitCode, CliError> {
    let job = new_deployment(args).await?;
    let cloud = cloud(&job.spec).await;
    show_plan(&job.planned(cloud.as_ref()).await?, json);
    Ok(ExitCode::Done)
}

pub(super) async fn deploy(args: &DeployArgs, output: Output) -> Result<ExitCode, CliError> {
    let job = new_deployment(&args.plan).await?;
    let cloud = cloud(&job.spec).await;
    job.run(cloud, &args.consent, output).await
}

/// `promote`, `abort` and `recover`: planned from the cloud's records, without any git repository.
pub(super) async fn step(args: &StepArgs, task: Task, output: Output) -> Result<ExitCode, CliError> {
    recorded(args, Intent { task, ..Intent::default() }, output).await
}

pub(super) async fn rollback(args: &RollbackArgs, output: Output) -> Result<ExitCode, CliError> {
    let task = Task::Rollback(args.number);
    recorded(&args.step, Intent { task, in_waves: args.in_waves, ..Intent::default() }, output).await
}

async fn recorded(args: &StepArgs, intent: Intent, output: Output) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let cloud = cloud(&spec).await;
    if !args.plan
        && let Some(told) = consent::answer_pause(cloud.as_ref(), &spec, intent.task).await?
    {
        print(&told);
        return Ok(ExitCode::Done);
    }
    let job = Job { identity: system::identity(&spec, None), spec, intent };
    if args.plan {
        show_plan(&job.planned(cloud.as_ref()).await?, output == Output::Json);
        return Ok(ExitCode::Done);
    }
    job.run(cloud, &args.consent, output).await
}

fn show_plan(plan: &Plan, json: bool) {
    print(&if json { format!("{}\n", plan.to_json()) } else { plan.to_string() });
}

async fn new_deployment(args: &PlanArgs) -> Result<Job, CliError> {
    let spec = spec(&args.target, &args.settings)?;
    let identity = system::identity(&spec, Some(commit(&spec).await?));
    let intent = Intent { only: args.only, pause_before: args.pause_before.clone(), ..Intent::default() };
    Ok(Job { spec, identity, intent })
}

/// What is asked for, as the command line and the spec say it.
struct Job {
    spec: Spec,
    identity: Identity,
    intent: Intent,
}

impl Job {
    async fn planned(&self, cloud: &dyn Cloud) -> Result<Plan, CliError> {
        let snapshot = Snapshot::read_for(cloud, &self.spec, self.intent.task).await?;
        Ok(plan::build(&self.spec, &snapshot, &self.identity, &self.intent)?)
    }

    async fn run(self, cloud: Arc<dyn Cloud>, given: &Consent, output: Output) -> Result<ExitCode, CliError> {
        let person = output == Output::Text && consent::is_terminal();
        // What cannot be planned is said before the lock is taken; under the lock the plan is made afresh.
        let plan = self.planned(cloud.as_ref()).await?;
        let approved = if person && !given.yes { Some(consent::approve(plan)?) } else { None };
        let prober = HttpProber::new()
            .map_err(|error| CliError::Machine(format!("cannot make HTTP requests: {error}")))?;
        let about = about(&self.spec, &self.identity);
        let (sink, notices) = notify::attach(Arc::from(report::sink(output)), &self.spec, about);
        let context = Context {
            cloud,
            prober: Arc::new(prober),
            sink,
            now: Arc::new(system::now),
            alive: Arc::new(system::is_alive),
            boundary: Arc::new(boundary(given.kill_at.clone())),
            asker: person.then(|| Arc::new(consent::Terminal) as Arc<dyn Asker>),
        };
        let Self { spec, identity, intent } = self;
        let order = Order { spec, identity, intent, holder: system::holder(), approved };
        let (canceller, cancel) = run::channel();
        let signals = tokio::spawn(listen(canceller));
        let outcome = run::deploy(&context, &order, &cancel).await;
        signals.abort();
        notices.finish().await;
        Ok(ExitCode::from(&outcome))
    }
}

/// What notices say of a deployment from its beginning.
pub(super) fn about(spec: &Spec, identity: &Identity) -> About {
    About {
        service: spec.service.clone(),
        environment: spec.environment.clone(),
        deployment: Some(identity.deployment.clone()),
        who: identity.who.clone(),
        commit: identity.commit.clone(),
        branch: None,
        job: system::job(),
    }
}

/// Asks the run to stop at each Ctrl-C, SIGTERM (which CI systems send) or SIGHUP: from this call on, not from when the
/// future is first polled, before which one could be lost.
pub(super) fn listen(canceller: Canceller) -> impl Future<Output = ()> + Send + 'static {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = kinds.map(signal);
    async move {
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else { return };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let text = match canceller.ask() {
                true => "stopping at once",
                false => "stopping in order; once more to stop at once",
            };
            let _ = writeln!(std::io::stderr(), "mayfly: {text}");
        }
    }
}

/// Kills this process at one boundary, as a power cut would: no clean-up of any kind.
fn boundary(kill_at: Option<String>) -> impl Fn(&str) -> bool + Send + Sync {
    move |point| {
        if kill_at.as_deref() != Some(point) {
            return false;
        }
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    /// Were it not heard, the signal would end the whole test program.
    #[tokio::test]
    async fn a_signal_before_the_first_look_at_signals_asks_to_stop() {
        let (canceller, cancel) = run::channel();
        let signals = listen(canceller);
        kill_process(getpid(), Signal::HUP).expect("a signal to this process");
        let signals = tokio::spawn(signals);
        cancel.asked().await;
        signals.abort();
    }
}
