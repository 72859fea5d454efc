//! The sandbox on its own, without the rest of Mayfly.

use std::process::ExitCode;

fn main() -> ExitCode {
    mayfly_sandbox::entry::maybe_run().unwrap_or(ExitCode::FAILURE)
}
