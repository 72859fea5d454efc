//! `mayfly images`.
// Effects: asks at the terminal.

use super::deploy::{cloud, listen, specs};
use super::operator::{GcArgs, ImagesCommand, Which};
use super::{CliError, consent, print};
use crate::bake::Baker;
use crate::cloud::{Aws, AwsOptions, Cloud, Image};
use crate::exit::ExitCode;
use crate::images::{self, Images, Sweep};
use crate::report::{self, Output};
use crate::run::{self, Cancel, Failure};
use crate::spec::Spec;
use crate::{naming, system};
use mayfly_ami::bake::{BOOT, COMMIT, PACKAGES, PARENT};
use mayfly_ami::keep::{Baked, Fate};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

pub(super) async fn images(command: &ImagesCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        ImagesCommand::List { file } => list(file, output).await,
        ImagesCommand::Gc(args) => gc(args, output).await,
        ImagesCommand::Share { which, account } => share(which, account, output).await,
        ImagesCommand::Copy { which, region } => copy(which, region, output).await,
    }
}

fn service(specs: &[Spec]) -> Result<(&Spec, &str), CliError> {
    let first = specs.first().ok_or_else(|| CliError::Usage("the spec has no environment".to_owned()))?;
    Ok((first, &first.service))
}

async fn list(file: &Path, output: Output) -> Result<ExitCode, CliError> {
    let specs = specs(file)?;
    let (first, service) = service(&specs)?;
    let cloud = cloud(first).await;
    let all = Images { cloud: cloud.as_ref(), specs: &specs, service };
    // Of one each stay anyway: what is listed is who uses the others.
    let (images, sweep) = (all.all().await?, all.sweep(usize::MAX, &now()).await?);
    let rows: Vec<(&Baked, &Fate, Option<&Image>)> = sweep
        .images
        .iter()
        .map(|(image, fate)| (image, fate, images.iter().find(|found| found.id == image.id)))
        .collect();
    if output == Output::Json {
        let rows: Vec<Value> =
            rows.iter().map(|(image, fate, found)| row_json(image, fate, *found)).collect();
        print(&format!("{}\n", json!({"images": rows})));
    } else if rows.is_empty() {
        print("no image was baked for this service\n");
    } else {
        print(&rows.iter().map(|(image, fate, found)| row(image, fate, *found)).collect::<String>());
    }
    Ok(ExitCode::Done)
}

fn row(image: &Baked, fate: &Fate, found: Option<&Image>) -> String {
    let tag = |key: &str| found.and_then(|found| found.tags.get(key)).map_or("-", String::as_str);
    let commit: String = tag(COMMIT).chars().take(12).collect();
    let parent = tag(PARENT);
    format!(
        "{}  {:<9}  {}  {}  commit {commit}  boot {}  packages {}  from {parent}  {}\n",
        image.id,
        image.state,
        image.created,
        image.name,
        tag(BOOT),
        tag(PACKAGES),
        used(fate)
    )
}

fn used(fate: &Fate) -> &str {
    match fate {
        Fate::Stays(why) if why.starts_with("used by") => why,
        _ => "",
    }
}

fn row_json(image: &Baked, fate: &Fate, found: Option<&Image>) -> Value {
    json!({
        "image": image.id, "name": image.name, "recipe": image.recipe, "environment": image.environment,
        "state": image.state, "created": image.created, "used": used(fate),
        "tags": found.map(|found| &found.tags), "snapshots": found.map(|found| &found.snapshots),
    })
}

async fn gc(args: &GcArgs, output: Output) -> Result<ExitCode, CliError> {
    let specs = specs(&args.file)?;
    let (first, service) = service(&specs)?;
    let cloud = cloud(first).await;
    let all = Images { cloud: cloud.as_ref(), specs: &specs, service };
    let sweep = all.sweep(args.keep.into(), &now()).await?;
    let plan = plan(&sweep);
    if args.dry_run || sweep.is_empty() {
        let going: Vec<&str> = sweep.going().map(|image| image.id.as_str()).collect();
        let object = json!({"would_remove": going, "builders": sweep.builders});
        print(&if output == Output::Json { format!("{object}\n") } else { plan });
        return Ok(ExitCode::Done);
    }
    let _ = write!(std::io::stderr(), "{plan}");
    let agreed = args.yes || output == Output::Text && consent::agrees("remove them?");
    if !agreed {
        return Err(CliError::Unswept);
    }
    Ok(remove(&all, &sweep, output).await)
}

fn plan(sweep: &Sweep) -> String {
    let mut text = String::new();
    for (image, fate) in &sweep.images {
        let verdict = match fate {
            Fate::Goes => "remove, with its snapshots".to_owned(),
            Fate::Stays(why) => format!("keep: {why}"),
        };
        let _ = writeln!(text, "{}  {}  {verdict}", image.id, image.name);
    }
    for builder in &sweep.builders {
        let _ = writeln!(text, "{builder}  a builder whose bake is over  terminate");
    }
    if sweep.is_empty() {
        text.push_str("nothing to remove\n");
    }
    text
}

/// One after the other, each looked at again just before; what fails is said, and the others go all the same.
async fn remove(all: &Images<'_>, sweep: &Sweep, output: Output) -> ExitCode {
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for image in sweep.going() {
        match all.remove(image).await {
            Ok(true) => removed.push(image.id.clone()),
            Ok(false) => failed.push(format!("{}: it is used now, or gone; kept", image.id)),
            Err(error) => failed.push(format!("{}: {error}", image.id)),
        }
    }
    let builders = match all.remove_builders(&sweep.builders, &now()).await {
        Ok(builders) => builders,
        Err(error) => {
            failed.push(format!("builders: {error}"));
            Vec::new()
        }
    };
    for line in &failed {
        let _ = writeln!(std::io::stderr(), "mayfly: {line}");
    }
    if output == Output::Json {
        print(&format!("{}\n", json!({"removed": removed, "builders": builders, "failed": failed})));
    } else {
        print(&removed.iter().chain(&builders).map(|id| format!("removed {id}\n")).collect::<String>());
    }
    if failed.is_empty() { ExitCode::Done } else { ExitCode::FailedDirty }
}

async fn share(which: &Which, accounts: &[String], output: Output) -> Result<ExitCode, CliError> {
    let specs = specs(&which.file)?;
    let (first, service) = service(&specs)?;
    let cloud = cloud(first).await;
    let image = Images { cloud: cloud.as_ref(), specs: &specs, service }.one(&which.image).await?;
    if image.encrypted {
        let note = "mayfly: note: a snapshot is encrypted: the accounts must be let use its key too; one encrypted with the \
                    account's default key cannot be shared";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    cloud.share_image(&image, accounts).await?;
    let object = json!({"image": image.id, "shared_with": accounts});
    let text = format!("{} may be launched by {}\n", image.id, accounts.join(", "));
    print(&if output == Output::Json { format!("{object}\n") } else { text });
    Ok(ExitCode::Done)
}

async fn copy(which: &Which, regions: &[String], output: Output) -> Result<ExitCode, CliError> {
    let specs = specs(&which.file)?;
    let (first, service) = service(&specs)?;
    let here = Aws::connect(&AwsOptions { region: first.region.clone() }).await;
    let image = Images { cloud: &here, specs: &specs, service }.one(&which.image).await?;
    let region = here.region().ok_or_else(|| CliError::Usage("no region is said".to_owned()))?;
    // From here on a copy may have begun, which goes on whatever happens to this program: it is named then.
    let (canceller, cancel) = run::channel();
    let signals = tokio::spawn(listen(canceller));
    let copies = tokio::select! {
        biased;
        () = cancel.stop() => {
            let _ = writeln!(std::io::stderr(), "mayfly: a copy may have begun; the same command finds it");
            return Ok(ExitCode::FailedDirty);
        }
        copies = begin(&image, region, regions, &cancel) => copies?,
    };
    let sink = report::sink(output);
    let mut exit = if copies.len() < regions.len() { ExitCode::Interrupted } else { ExitCode::Done };
    for (to, id, there) in &copies {
        let waited = Baker { cloud: there as &dyn Cloud, sink: sink.as_ref(), cancel: &cancel }
            .wait_available(id)
            .await;
        match waited {
            Ok(()) => {
                let object = json!({"image": id, "region": to, "copied_from": image.id});
                print(&if output == Output::Json { format!("{object}\n") } else { format!("{id} {to}\n") });
            }
            Err(failure) => exit = uncopied(&failure, id, to),
        }
    }
    signals.abort();
    Ok(exit)
}

/// Asks for a copy in each region, until somebody asks to stop.
async fn begin<'r>(
    image: &Image,
    from: &str,
    regions: &'r [String],
    cancel: &Cancel,
) -> Result<Vec<(&'r String, String, Aws)>, CliError> {
    let mut copies = Vec::new();
    for to in regions {
        if cancel.is_asked() {
            break;
        }
        let there = Aws::connect(&AwsOptions { region: Some(to.clone()) }).await;
        copies.push((to, images::copy(&there, image, from).await?, there));
    }
    Ok(copies)
}

/// A copy goes on without us: it is said, and asking again finds it.
fn uncopied(failure: &Failure, id: &str, region: &str) -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "mayfly: {id} in {region}: {failure}; the same command goes on waiting for it"
    );
    if *failure == Failure::Interrupted { ExitCode::Interrupted } else { ExitCode::FailedDirty }
}

/// This second, as tags have it.
pub(super) fn now() -> String {
    naming::stamp(system::now())
}
