//! Python with the packages that tests hold the deployer against, made once and shared.
// Effects: tests run real programs.
#![allow(clippy::disallowed_methods, clippy::panic)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = ["moto[server]==5.2.5", "boto3==1.44.5", "jsonschema==4.26.0"];

/// The interpreter of a venv under the target directory.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto-5.2.5-jsonschema-4.26.0");
    fs::create_dir_all(&root).expect("a folder for the venv");
    let lock = File::create(root.join("lock")).expect("a lock file");
    lock.lock().expect("the lock, once another test is done making the venv");
    let python = root.join("venv/bin/python");
    if !root.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(root.join("venv")));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES));
        File::create(root.join("complete")).expect("a mark");
    }
    python
}

/// Runs a program that must succeed, and gives its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
