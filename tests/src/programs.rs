//! The programs under test, as cargo built them, and how to run one to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A program of this workspace, next to the running test in cargo's target folder: `cargo test --workspace` builds them
/// before it runs any test.
pub fn program(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    assert!(
        path.is_file(),
        "{} was not built: run `cargo test --workspace`, or build it first",
        path.display()
    );
    path
}

/// `target/<profile>`: two levels above a test (`deps/`) or example.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(2).expect("tests are in target/<profile>/deps").to_owned()
}

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// Runs a command to its end with no input; its output for the assertions.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Like [`run`], but a failure ends the test with all that was said.
pub fn run_ok(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{err}", output.status);
    out
}

/// Bytes of a program's output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
