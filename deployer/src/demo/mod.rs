//! `mayfly demo`: the whole story on one machine, under steady traffic, told as it happens.
// Effects: a story takes time.
#![allow(clippy::disallowed_methods)]

mod files;
mod load;
mod repo;
mod stage;
mod summary;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::exit::ExitCode;
use load::Load;
use stage::{COUNT, Stage};
use summary::Summary;

/// A figure over fewer requests would say little.
const REQUESTS_AT_LEAST: u64 = 1_000;
/// How long an instance may take to be ready.
const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// How long an edit may take to be live before the demo calls it lost.
const EDIT_DEADLINE: Duration = Duration::from_secs(20);

/// Arguments of `mayfly demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Leave it all running, to play with
    #[arg(long)]
    pub keep: bool,
    /// The instances' program; found beside `mayfly` when not given
    #[arg(long, value_name = "FILE")]
    pub boot_binary: Option<PathBuf>,
}

/// Plays the demo and prints its summary on standard output: a table, or one JSON object.
///
/// # Errors
/// When the stage cannot be built, a good deployment fails, an edit never shows, or Ctrl-C is pressed; nothing is left
/// behind then.
pub async fn run(args: DemoArgs, json: bool) -> Result<ExitCode> {
    let boot_binary = boot_binary(args.boot_binary.clone())?;
    say("a sandbox: EC2, a load balancer, instance metadata and a git server on this machine");
    let stage = Stage::build(boot_binary).await?;
    let mut summary = Summary::default();
    let played = tokio::select! {
        played = play(&stage, &mut summary) => played,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let keep = args.keep && played.is_ok();
    if keep {
        tell_how_to_go_on(stage);
    } else {
        summary.leftover_instances += stage.strike().await?;
    }
    played?;
    print(&summary, json)?;
    Ok(if summary.holds() { ExitCode::Done } else { ExitCode::FailedDirty })
}

/// The acts, in order. Every figure is written down as soon as it is known.
async fn play(stage: &Stage, summary: &mut Summary) -> Result<()> {
    let what = "version 1 on two instances of a stock image, which fetch and check mayfly-boot themselves";
    (summary.first_deploy_seconds, summary.stock_boot_seconds) = good_deploy(stage, what, "1").await?;
    let mut load = Load::start(&stage.url)?;
    say(&format!("steady traffic on {} from now on", stage.url));
    summary.bake_seconds = bake(stage).await?;
    let what = "version 2 from the baked image, while version 1 serves";
    (summary.deploy_seconds, summary.seeded_boot_seconds) = good_deploy(stage, what, "2").await?;
    say(&format!(
        "to ready took {:.1} s from the stock image, and {:.1} s from the baked one",
        summary.stock_boot_seconds, summary.seeded_boot_seconds
    ));
    ensure!(
        load.until_all_say("version 2", EDIT_DEADLINE).await.is_some(),
        "version 2 is not what is served"
    );
    hot_edit(stage, &mut load, summary).await?;
    broken_deploy(stage, &mut load, summary).await?;
    load.until_total(REQUESTS_AT_LEAST, EDIT_DEADLINE).await;
    let tally = load.stop().await;
    (summary.requests_total, summary.requests_failed) = (tally.total, tally.failed);
    summary.failures = tally.failures;
    Ok(())
}

/// How long the deployment took, and the boot of its first instance to ready.
async fn good_deploy(stage: &Stage, what: &str, version: &str) -> Result<(f64, f64)> {
    say(&format!("deploy {what}"));
    let begun = Instant::now();
    let before = stage.live_instances().await?;
    let setting = format!("greeter.version={version}");
    let deploy = ["deploy", "--yes", "--set", &setting];
    let (status, boot) = tokio::join!(stage.mayfly(&deploy), stage.boot_time(&before, BOOT_DEADLINE));
    let status = status?;
    ensure!(status.success(), "the deployment of version {version} ended with {status}");
    Ok((begun.elapsed().as_secs_f64(), boot?.as_secs_f64()))
}

async fn bake(stage: &Stage) -> Result<f64> {
    say("bake an image with the role converged; `image: {baked: web}` takes it from now on");
    let begun = Instant::now();
    let status = stage.mayfly(&["bake", "--role", "web"]).await?;
    ensure!(status.success(), "the bake ended with {status}");
    stage.take_baked()?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn hot_edit(stage: &Stage, load: &mut Load, summary: &mut Summary) -> Result<()> {
    say("push an edit of the greeting to git");
    let begun = Instant::now();
    stage.repo.edit("pillar/greeter.sls", "greeting: Hello", "greeting: Servus")?;
    let Some(live) = load.until_all_say("Servus", EDIT_DEADLINE).await else {
        bail!(
            "the edit is not live after {EDIT_DEADLINE:?}; the last answer: {:?}",
            load.tally().last_answer()
        );
    };
    summary.hot_edit_seconds = live.duration_since(begun).as_secs_f64();
    let instances = stage.live_instances().await?;
    let address = instances.first().map(|(_, address)| address).context("no instance runs")?;
    summary.hot_edit_restarted_by = stage.last_restart(address).await?;
    say(&format!(
        "live: {:?}; restarted by {}",
        load.tally().last_answer().unwrap_or_default(),
        summary.hot_edit_restarted_by
    ));
    Ok(())
}

async fn broken_deploy(stage: &Stage, load: &mut Load, summary: &mut Summary) -> Result<()> {
    say("deploy version 3, which never becomes healthy");
    let before = stage.live_instances().await?;
    let begun = Instant::now();
    let broken = ["deploy", "--yes", "--set", "greeter.version=3", "--set", "greeter.health=failing"];
    let status = stage.mayfly(&broken).await?;
    summary.broken_deploy_seconds = begun.elapsed().as_secs_f64();
    let after = stage.live_instances().await?;
    let old_serve = load.until_all_say("version 2", EDIT_DEADLINE).await.is_some();
    let same = after.iter().all(|(id, _)| before.iter().any(|(old, _)| old == id)) && after.len() == COUNT;
    summary.leftover_instances = after.len().saturating_sub(COUNT);
    summary.broken_deploy_rolled_back =
        status.code() == Some(ExitCode::RolledBack.code().into()) && old_serve && same;
    Ok(())
}

fn boot_binary(given: Option<PathBuf>) -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("mayfly-boot"));
    let path = given.or_else(beside).context("find the mayfly program")?;
    ensure!(
        path.is_file(),
        "{} does not exist: build it with `cargo build --release`, or name it with --boot-binary",
        path.display()
    );
    Ok(path)
}

fn tell_how_to_go_on(stage: Stage) {
    let (url, environment) = (stage.url.clone(), stage.environment());
    let folder = stage.keep();
    say(&format!("still running: {url}. To go on:"));
    eprintln!("  cd {}", folder.display());
    for (name, value) in environment {
        eprintln!("  export {name}={value}");
    }
    eprintln!(
        "  mayfly status                                 # then edit states/, commit, push, or deploy again"
    );
    eprintln!("  mayfly sandbox down --state-dir sandbox       # and remove the folder, when done");
}

fn say(what: &str) {
    eprintln!("demo: {what}");
}

/// The demo's one result.
#[allow(clippy::print_stdout)]
fn print(summary: &Summary, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(summary)?);
    } else {
        print!("{}", summary.to_text());
    }
    Ok(())
}
