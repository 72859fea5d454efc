//! `mayfly plan` and `mayfly deploy`.
// Effects: the spec file, the terminal, signals.
#![allow(clippy::disallowed_methods)]

use super::args::{DeployArgs, PlanArgs, Target};
use super::{CliError, print};
use crate::cloud::{Aws, AwsOptions, Cloud};
use crate::exit::ExitCode;
use crate::notify::{self, About};
use crate::plan::{self, Identity, Plan};
use crate::report::{self, Output};
use crate::run::{self, Canceller, Context, HttpProber, Order};
use crate::snapshot::Snapshot;
use crate::spec::{At, Problem, Setting, Spec, SpecError};
use crate::{git_ref, system};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Reads the spec that the arguments name.
pub(super) fn spec(target: &Target, settings: &[Setting]) -> Result<Spec, CliError> {
    let file = target.file.display().to_string();
    let text = std::fs::read_to_string(&target.file).map_err(|error| SpecError {
        file: file.clone(),
        at: None::<At>,
        problem: Box::new(Problem::Unreadable(error.to_string())),
    })?;
    Ok(Spec::parse(&text, &file, &target.env, settings)?)
}

pub(super) async fn cloud(spec: &Spec) -> Arc<dyn Cloud> {
    Arc::new(Aws::connect(&AwsOptions { region: spec.region.clone() }).await)
}

/// The commit that the spec's branch points to now, asked where the deployer can reach the repository.
pub(super) async fn commit(spec: &Spec) -> Result<String, CliError> {
    let url = spec.states.deploy_url.as_ref().unwrap_or(&spec.states.tree.url);
    let token = std::env::var("MAYFLY_GIT_TOKEN").ok().filter(|token| !token.is_empty());
    Ok(git_ref::resolve(url, spec.states.reference(), token.as_deref()).await?)
}

async fn planned(cloud: &dyn Cloud, spec: &Spec, identity: &Identity) -> Result<Plan, CliError> {
    let snapshot = Snapshot::read(cloud, spec).await?;
    Ok(plan::build(spec, &snapshot, identity)?)
}

pub(super) async fn plan(args: &PlanArgs, json: bool) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &args.settings)?;
    let identity = system::identity(&spec, Some(commit(&spec).await?));
    let plan = planned(cloud(&spec).await.as_ref(), &spec, &identity).await?;
    print(&if json { format!("{}\n", plan.to_json()) } else { plan.to_string() });
    Ok(ExitCode::Done)
}

pub(super) async fn deploy(args: &DeployArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = spec(&args.plan.target, &args.plan.settings)?;
    let identity = system::identity(&spec, Some(commit(&spec).await?));
    let cloud = cloud(&spec).await;
    let asks = !args.yes
        && output == Output::Text
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal();
    // What cannot be planned is said before the lock is taken; under the lock the plan is made afresh.
    let plan = planned(cloud.as_ref(), &spec, &identity).await?;
    let approved = if asks { Some(approve(plan)?) } else { None };
    let prober = HttpProber::new()
        .map_err(|error| CliError::Machine(format!("cannot make HTTP requests: {error}")))?;
    let (sink, notices) = notify::attach(Arc::from(report::sink(output)), &spec, about(&spec, &identity));
    let context = Context {
        cloud,
        prober: Arc::new(prober),
        sink,
        now: Arc::new(system::now),
        alive: Arc::new(system::is_alive),
        boundary: Arc::new(boundary(args.kill_at.clone())),
    };
    let order = Order { spec, identity, holder: system::holder(), approved };
    let (canceller, cancel) = run::channel();
    let signals = tokio::spawn(listen(canceller));
    let outcome = run::deploy(&context, &order, &cancel).await;
    signals.abort();
    notices.finish().await;
    Ok(ExitCode::from(&outcome))
}

/// What notices say of a deployment from its beginning.
pub(super) fn about(spec: &Spec, identity: &Identity) -> About {
    About {
        service: spec.service.clone(),
        environment: spec.environment.clone(),
        deployment: identity.deployment.clone(),
        who: identity.who.clone(),
        commit: identity.commit.clone(),
        job: system::job(),
    }
}

fn approve(plan: Plan) -> Result<Plan, CliError> {
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{plan}\ndeploy? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| std::io::stdin().read_line(&mut answer));
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(plan),
        _ => Err(CliError::Declined),
    }
}

/// Asks the run to stop at each Ctrl-C, SIGTERM (which CI systems send) or SIGHUP.
pub(super) async fn listen(canceller: Canceller) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        let text =
            if canceller.ask() { "stopping at once" } else { "stopping in order; once more to stop at once" };
        let _ = writeln!(std::io::stderr(), "mayfly: {text}");
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
