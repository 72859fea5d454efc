//! Makes a machine fit to be an image: what belongs to this one machine goes, and then the machine is looked over. Image
//! builders do it before they power off; `mayfly-boot seal` does it for other tools that make images.
// Effects: the machine's files, and asking its package manager.
#![allow(clippy::disallowed_methods)]

mod folder;
mod packages;
mod places;
mod sweep;

use crate::cli::SealArgs;
use crate::converge::own;
use crate::exit::Exit;
use crate::say;
use mayfly_states::fsys;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    /// The folder that is `/`.
    pub(crate) root: &'a Path,
    /// Where trees and status are kept.
    pub(crate) state_dir: &'a Path,
    /// The program that instances are to run.
    pub(crate) program: PathBuf,
    /// The commit that the image is seeded with, if any.
    pub(crate) commit: Option<&'a str>,
}

/// What was cleaned and what is in the image, on one line that `mayfly bake` reads.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The line, without `mayfly: `.
    pub(crate) line: String,
    /// What could not be cleaned and need not be: logs and the like.
    pub(crate) notes: Vec<String>,
}

/// `mayfly-boot seal`: what the bare recipe does last.
///
/// # Errors
/// Without `--yes`, and for a folder that cannot be used.
pub(crate) fn by_hand(args: &SealArgs) -> anyhow::Result<Exit> {
    anyhow::ensure!(
        args.yes,
        "`seal` removes SSH host keys, the machine id, logs and histories of this machine; `--yes` says that it may"
    );
    let state_dir = args.state_dir.clone().unwrap_or_else(|| args.root.join("var/lib/mayfly"));
    fsys::make_dirs(&state_dir, own(0o755))?;
    let program = std::env::current_exe()?;
    let machine = Machine { root: &args.root, state_dir: &state_dir, program, commit: None };
    match seal(&machine) {
        Ok(sealed) => {
            sealed.notes.iter().for_each(|note| say::console(format_args!("mayfly: note: {note}")));
            say::console(format_args!("mayfly: {}", sealed.line));
            Ok(Exit::Ok)
        }
        Err(problems) => {
            say::console(format_args!("mayfly: failed: {}", problems.join("; ")));
            Ok(Exit::StateFailed)
        }
    }
}

/// Cleans and looks.
///
/// # Errors
/// Everything that makes the machine unfit.
pub(crate) fn seal(machine: &Machine<'_>) -> Result<Sealed, Vec<String>> {
    let Machine { root, state_dir, commit, .. } = machine;
    let installed = packages::installed(root);
    let listed = fsys::replace(&state_dir.join("packages"), installed.text().as_bytes(), own(0o644));
    let swept = sweep::sweep(root, state_dir);
    let mut problems = swept.problems;
    problems.extend(listed.err().map(|error| format!("the list of packages: {error}")));
    problems.extend(keep_no_seed(root).err().map(|error| format!("the random seed: {error}")));
    problems.extend(missing(machine));
    if !problems.is_empty() {
        return Err(problems);
    }
    nix::unistd::sync();
    let line = format!(
        "sealed commit={} boot={} sha256={} packages={} cleaned={}",
        commit.unwrap_or("-"),
        env!("CARGO_PKG_VERSION"),
        sum_of(&machine.program).unwrap_or_else(|| "-".to_owned()),
        installed.summary(),
        swept.cleaned,
    );
    Ok(Sealed { line, notes: swept.notes })
}

/// systemd saves a random seed when it stops, which every instance of the image would begin with. What is said in `/run`
/// holds for this one boot.
fn keep_no_seed(root: &Path) -> anyhow::Result<()> {
    let units = root.join("run/systemd/system");
    if !units.is_dir() {
        return Ok(());
    }
    let folder = units.join("systemd-random-seed.service.d");
    fsys::make_dirs(&folder, own(0o755))?;
    fsys::replace(&folder.join("sealed.conf"), b"[Service]\nExecStop=\n", own(0o644))?;
    if root == Path::new("/") {
        let status = Command::new("systemctl").arg("daemon-reload").status()?;
        anyhow::ensure!(status.success(), "systemctl daemon-reload: {status}");
    }
    Ok(())
}

/// What an image must have and this machine has not.
fn missing(machine: &Machine<'_>) -> Vec<String> {
    let Machine { root, state_dir, program, commit } = machine;
    let mut missing = Vec::new();
    if !is_program(program) {
        missing.push(format!("{} is no program", program.display()));
    }
    if let Some(commit) = commit {
        let release = state_dir.join("releases").join(commit);
        if !release.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            missing.push(format!("the tree {commit} is not in {}", release.display()));
        }
        let good = fsys::read_link(&state_dir.join("good"));
        if !good.is_ok_and(|target| target.ends_with(commit)) {
            missing.push(format!("{commit} is not the last good tree"));
        }
    }
    if root.join("run/systemd/system").is_dir() && !is_enabled(root) {
        missing.push("systemd does not start mayfly-boot.service at boot: `systemctl enable` it".to_owned());
    }
    missing
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() > 0 && meta.permissions().mode() & 0o111 != 0)
}

fn is_enabled(root: &Path) -> bool {
    let units = root.join("etc/systemd/system").read_dir().into_iter().flatten().flatten();
    let wants =
        units.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".target.wants"));
    wants.into_iter().any(|wants| wants.join("mayfly-boot.service").is_symlink())
}

/// By the system's own program: this one's size is nothing to be read with care and no haste at every build.
fn sum_of(program: &Path) -> Option<String> {
    let output =
        Command::new("sha256sum").arg(program).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let sum = text.trim_start_matches('\\').split(' ').next()?;
    (sum.len() == 64).then(|| sum.to_owned())
}

#[cfg(test)]
mod tests;
