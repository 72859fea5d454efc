//! `mayfly bake`.

use super::deploy::{cloud, commit, listen, spec};
use super::operator::{BakeArgs, RecipeKind};
use super::{CliError, print};
use crate::bake::{BakeError, Baker, Place};
use crate::exit::ExitCode;
use crate::plan;
use crate::report::{self, Output};
use crate::run::{self, Failure};
use crate::snapshot::Snapshot;
use crate::spec::{ImageRef, Spec};
use crate::{naming, system};
use mayfly_ami::bake::Wish;
use mayfly_ami::recipe::{Bare, Recipe, Seeded};
use std::io::Write;

pub(super) async fn bake(args: &BakeArgs, output: Output) -> Result<ExitCode, CliError> {
    let mut spec = spec(&args.target, &[])?;
    if let Some(from) = &args.from {
        spec.image = ImageRef::Id(from.clone());
    }
    let recipe = recipe(args, &spec).await?;
    let cloud = cloud(&spec).await;
    let wish = Wish {
        recipe,
        base_image: Snapshot::image(cloud.as_ref(), &spec.image, &spec.service).await?,
        instance_type: spec.instance_types.first().cloned().unwrap_or_default(),
        stamp: naming::stamp(system::now()),
        nonce: format!("{:04x}", rand::random::<u16>()),
    };
    let mut plan = mayfly_ami::bake::plan(&wish)?;
    // Of the service, and of no environment: no deployment takes the builder for one of its instances.
    plan.tags.push((naming::SERVICE.to_owned(), spec.service.clone()));
    let place = Place {
        subnet: spec.subnets.first().cloned(),
        security_groups: spec.security_groups.clone(),
        instance_profile: spec.instance_profile.clone(),
        deadline: args.deadline,
    };
    let (canceller, cancel) = run::channel();
    let signals = tokio::spawn(listen(canceller));
    let sink = report::sink(output);
    let baked =
        Baker { cloud: cloud.as_ref(), sink: sink.as_ref(), cancel: &cancel }.bake(&plan, &place).await;
    signals.abort();
    Ok(told(baked, &plan.image_name, output))
}

async fn recipe(args: &BakeArgs, spec: &Spec) -> Result<Recipe, CliError> {
    match (args.recipe, &args.boot_url, &args.boot_sha256) {
        (RecipeKind::Bare, Some(url), Some(sum)) => {
            Ok(Recipe::Bare(Bare { boot_url: url.clone(), boot_sha256: sum.to_ascii_lowercase() }))
        }
        (RecipeKind::Bare, ..) => {
            Err(CliError::Usage("a bare image needs --boot-url and --boot-sha256".to_owned()))
        }
        (RecipeKind::Seeded, ..) => Ok(Recipe::Seeded(Box::new(Seeded {
            role: args.role.clone().unwrap_or_else(|| spec.role.clone()),
            environment: spec.environment.clone(),
            states: plan::states(&spec.states, Some(commit(spec).await?)),
            pillar: spec.pillar.clone(),
            grains: spec.grains.clone(),
            saltenv: spec.saltenv.clone(),
            nodegroups: spec.nodegroups.clone(),
            options: spec.options.clone(),
            supervisor: spec.supervisor.clone(),
        }))),
    }
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
    match error {
        BakeError::Undone(Failure::Interrupted) => ExitCode::Interrupted,
        BakeError::Unlaunched(_) | BakeError::Undone(_) => ExitCode::RolledBack,
        BakeError::Dirty { .. } => ExitCode::FailedDirty,
    }
}
