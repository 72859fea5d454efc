//! `mayfly init`, `schema`, `man` and `completions`.
// Effects: writes files, reads the folder's git repository.
#![allow(clippy::disallowed_methods)]

use super::args::Cli;
use super::operator::InitArgs;
use super::{CliError, print};
use crate::exit::ExitCode;
use crate::init::{self, Answers, File};
use crate::schema;
use crate::spec::Spec;
use clap::CommandFactory;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::Path;

pub(super) fn init(args: &InitArgs, json: bool) -> Result<ExitCode, CliError> {
    let files = init::files(&answers(args)?);
    // What is written must be readable: a name that the spec refuses is refused here, before anything is written.
    if let Some(spec) = files.first() {
        Spec::parse(&spec.text, spec.path, crate::spec::DEFAULT_ENVIRONMENT, &[])?;
    }
    let there: Vec<&str> = files
        .iter()
        .map(|file| file.path)
        .filter(|path| args.folder.join(path).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() && !args.force {
        let text = format!("{} already there; nothing was written, --force writes over it", there.join(", "));
        return Err(CliError::Usage(text));
    }
    for file in &files {
        write(&args.folder, file).map_err(|error| {
            CliError::Machine(format!("{}: {error}", args.folder.join(file.path).display()))
        })?;
    }
    let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
    print(&if json { format!("{}\n", json!({"written": paths})) } else { told(&paths) });
    Ok(ExitCode::Done)
}

fn told(paths: &[&str]) -> String {
    format!(
        "written: {}\nnext: look through mayfly.yaml, then `mayfly plan`; give the policies in iam/ to two roles\n",
        paths.join(", ")
    )
}

fn answers(args: &InitArgs) -> Result<Answers, CliError> {
    let folder = args.folder.canonicalize().ok();
    let name = folder.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
    let service = args.service.clone().or(name).unwrap_or_default();
    let states = args.states.clone().or_else(|| origin(&args.folder)).ok_or_else(|| {
        CliError::Usage(
            "--states is missing: the address of the state repository, as instances reach it".to_owned(),
        )
    })?;
    Ok(Answers {
        service,
        states,
        deploy_url: args.deploy_url.clone(),
        classics: args.classic.clone(),
        target_groups: args.target_group.clone(),
        region: args.region.clone(),
        account: args.account.clone(),
        parameter: args.image_parameter.clone(),
        bucket: args.bucket.clone(),
        github: args.github.clone(),
    })
}

/// The `origin` of the git repository around a folder. An address with a password in it is none to write down.
fn origin(folder: &Path) -> Option<String> {
    let repository = git2::Repository::discover(folder).ok()?;
    let url = repository.find_remote("origin").ok()?.url().ok()?.to_owned();
    let has_password = url.split_once("://").is_some_and(|(kind, rest)| {
        kind != "ssh" && rest.split('/').next().is_some_and(|authority| authority.contains('@'))
    });
    (!has_password).then_some(url)
}

/// Whole or not at all: a file beside it takes its place.
fn write(folder: &Path, file: &File) -> std::io::Result<()> {
    let path = folder.join(file.path);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent)?;
    let mut beside = tempfile::Builder::new().permissions(permissions()).tempfile_in(parent)?;
    beside.write_all(file.text.as_bytes())?;
    beside.as_file().sync_all()?;
    beside.persist(&path).map(drop).map_err(|error| error.error)
}

fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o644)
}

pub(super) fn schema() -> ExitCode {
    print(&format!("{:#}\n", schema::schema()));
    ExitCode::Done
}

pub(super) fn man(folder: &Path, json: bool) -> Result<ExitCode, CliError> {
    let failed = |error: std::io::Error| CliError::Machine(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    if json {
        print(&format!("{}\n", json!({"folder": folder})));
    }
    Ok(ExitCode::Done)
}

pub(super) fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mayfly", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::Done
}
