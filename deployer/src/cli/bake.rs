//! `mayfly bake`.
// Effects: reads the file of known hosts.
#![allow(clippy::disallowed_methods)]

use super::deploy::{cloud, commit, listen, spec};
use super::operator::{BakeArgs, RecipeKind};
use super::{CliError, images, print};
use crate::bake::{BakeError, Baker, Place, SLACK};
use crate::cloud::ImageFilter;
use crate::exit::ExitCode;
use crate::images::Images;
use crate::plan;
use crate::report::{self, Output};
use crate::run::{self, Failure};
use crate::snapshot::Snapshot;
use crate::spec::{ImageRef, Spec};
use crate::{naming, system};
use mayfly_ami::bake::{Plan, Wish};
use mayfly_ami::recipe::{Bare, Recipe, Seeded};
use mayfly_ami::stock::{Boot, KnownHosts, Signed};
use std::io::Write;

/// Where a bare image has the known hosts when the spec does not say it.
const KNOWN_HOSTS: &str = "/etc/mayfly/known_hosts";

pub(super) async fn bake(args: &BakeArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = spec(&args.target, &[])?;
    let recipe = recipe(args, &spec).await?;
    let cloud = cloud(&spec).await;
    let images = Images { cloud: cloud.as_ref(), specs: std::slice::from_ref(&spec), service: &spec.service };
    clear_up(&images).await?;
    let parent = parent(&images, args, &spec, &recipe).await?;
    let plan = plan_of(args, &spec, recipe, parent)?;
    if !args.force
        && let Some(same) = images.of_inputs(&plan.inputs).await?
    {
        say_unchanged(&same.id, &same.name, output);
        return Ok(ExitCode::Done);
    }
    let place = Place {
        subnet: spec.subnets.first().cloned(),
        security_groups: spec.security_groups.clone(),
        instance_profile: spec.instance_profile.clone(),
        deadline: args.deadline,
        keep_failed: args.keep_on_failure,
    };
    let (canceller, cancel) = run::channel();
    let signals = tokio::spawn(listen(canceller));
    let sink = report::sink(output);
    let baked =
        Baker { cloud: cloud.as_ref(), sink: sink.as_ref(), cancel: &cancel }.bake(&plan, &place).await;
    signals.abort();
    Ok(told(baked, &plan.image_name, output))
}

fn plan_of(args: &BakeArgs, spec: &Spec, recipe: Recipe, base_image: String) -> Result<Plan, CliError> {
    let now = system::now();
    let until = now + chrono::TimeDelta::from_std(args.deadline.saturating_add(SLACK)).unwrap_or_default();
    let mut plan = mayfly_ami::bake::plan(&Wish {
        recipe,
        base_image,
        instance_type: spec.instance_types.first().cloned().unwrap_or_default(),
        stamp: naming::stamp(now),
        nonce: format!("{:04x}", rand::random::<u16>()),
        until: naming::stamp(until),
    })?;
    // Of the service, and of no environment: no deployment takes the builder for one of its instances.
    plan.tags.push((naming::SERVICE.to_owned(), spec.service.clone()));
    Ok(plan)
}

/// What killed bakes left.
async fn clear_up(images: &Images<'_>) -> Result<(), CliError> {
    let now = images::now();
    let lost = crate::bake::abandoned(images.cloud, images.service, &now).await?;
    for builder in images.remove_builders(&lost, &now).await? {
        let _ = writeln!(std::io::stderr(), "removed {builder}, the builder of a bake that is over");
    }
    Ok(())
}

/// What the builder boots from. A spec that takes what is baked here means what that was made from: else each bake would
/// stand on the one before.
async fn parent(
    images: &Images<'_>,
    args: &BakeArgs,
    spec: &Spec,
    recipe: &Recipe,
) -> Result<String, CliError> {
    let wanted = args.from.as_ref().unwrap_or(&spec.image);
    let id = Snapshot::image(images.cloud, wanted, &spec.service).await?;
    let is_its_own = args.from.is_none() && *wanted == ImageRef::Baked(recipe.name().to_owned());
    if !is_its_own {
        return Ok(id);
    }
    let image = images.cloud.images(&ImageFilter::Id(id.clone())).await?.pop();
    let parent = match &image {
        Some(image) => images.parent_of(image).await?,
        None => None,
    };
    parent.ok_or_else(|| {
        let name = recipe.name();
        CliError::Usage(format!(
            "what {id}, the newest image of `{name}`, was made from is not sure, or is gone; say with `--from` what to bake on"
        ))
    })
}

async fn recipe(args: &BakeArgs, spec: &Spec) -> Result<Recipe, CliError> {
    let boot = boot(args, spec);
    match (args.recipe, boot) {
        (RecipeKind::Bare, Some(boot)) => {
            Ok(Recipe::Bare(Bare { boot, known_hosts: known_hosts(args, spec)? }))
        }
        (RecipeKind::Bare, None) => Err(CliError::Usage(
            "a bare image needs `boot` in the spec, or --boot-url and --boot-sha256".to_owned(),
        )),
        (RecipeKind::Seeded, _) if args.known_hosts.is_some() => {
            Err(CliError::Usage("--known-hosts is for bare images; states bring files to others".to_owned()))
        }
        (RecipeKind::Seeded, boot) => Ok(Recipe::Seeded(Box::new(Seeded {
            role: args.role.clone().unwrap_or_else(|| spec.role.clone()),
            environment: spec.environment.clone(),
            states: plan::states(&spec.states, Some(commit(spec).await?)),
            pillar: spec.pillar.clone(),
            grains: spec.grains.clone(),
            saltenv: spec.saltenv.clone(),
            nodegroups: spec.nodegroups.clone(),
            options: spec.options.clone(),
            supervisor: spec.supervisor.clone(),
            boot,
        }))),
    }
}

fn boot(args: &BakeArgs, spec: &Spec) -> Option<Boot> {
    let (Some(url), Some(sum)) = (&args.boot_url, &args.boot_sha256) else { return spec.boot.clone() };
    let signed = args.boot_key.clone().map(|key| Signed { url: format!("{url}.sig"), key });
    Some(Boot { url: url.clone(), sha256: sum.to_ascii_lowercase(), signed })
}

fn known_hosts(args: &BakeArgs, spec: &Spec) -> Result<Option<KnownHosts>, CliError> {
    let Some(file) = &args.known_hosts else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    let path = spec.states.tree.known_hosts_file.clone().unwrap_or_else(|| KNOWN_HOSTS.to_owned());
    Ok(Some(KnownHosts { path, text }))
}

fn say_unchanged(image: &str, name: &str, output: Output) {
    let _ =
        writeln!(std::io::stderr(), "unchanged: {image} was baked of the same inputs; --force bakes again");
    let object = serde_json::json!({"image": image, "name": name, "unchanged": true});
    print(&if output == Output::Json { format!("{object}\n") } else { format!("{image} {name}\n") });
}

fn told(baked: Result<String, BakeError>, name: &str, output: Output) -> ExitCode {
    let error = match baked {
        Ok(image) => {
            let object = serde_json::json!({"image": image, "name": name});
            print(&if output == Output::Json { format!("{object}\n") } else { format!("{image} {name}\n") });
            return ExitCode::Done;
        }
        Err(error) => error,
    };
    let mut stderr = std::io::stderr().lock();
    for line in error.cause().evidence() {
        let _ = writeln!(stderr, "  {line}");
    }
    let _ = writeln!(stderr, "mayfly: {error}");
    let exit = match error {
        BakeError::Undone(Failure::Interrupted) => ExitCode::Interrupted,
        BakeError::Unlaunched(_) | BakeError::Undone(_) => ExitCode::RolledBack,
        BakeError::Kept { .. } | BakeError::Dirty { .. } => ExitCode::FailedDirty,
    };
    if output == Output::Json {
        let (text, evidence) = (error.to_string(), error.cause().evidence());
        let object = serde_json::json!({"error": text, "exit": exit.code(), "evidence": evidence});
        print(&format!("{object}\n"));
    }
    exit
}
