//! The hidden ways in: programs that embed the sandbox run themselves again as its daemon, guardians and inits.

use std::path::Path;
use std::process::ExitCode;

/// The running executable, whatever became of its path.
pub(crate) const SELF: &str = "/proc/self/exe";
/// First argument of every hidden run; no person types it.
pub(crate) const MARK: &str = "__mayfly_sandbox";
pub(crate) const DAEMON: &str = "daemon";
pub(crate) const GUARDIAN: &str = "guardian";
pub(crate) const INIT: &str = "init";
pub(crate) const MAPPER: &str = "mapper";

/// Runs the hidden part that the arguments ask for, and gives its exit code; `None` in an ordinary run.
///
/// Call this first in `main`, before any thread exists: the parts make namespaces, which the kernel allows a
/// single-threaded process only.
#[must_use]
pub fn maybe_run() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != MARK {
        return None;
    }
    let part = args.next()?;
    let file = args.next()?;
    let file = Path::new(&file);
    match part.to_str()? {
        DAEMON => Some(crate::daemon::main(file)),
        GUARDIAN => {
            let parent = args.next()?.to_str()?.parse().ok()?;
            Some(crate::runtime::guest::guard(file, parent))
        }
        MAPPER => Some(if crate::runtime::privilege::map_ranges(file.to_str()?) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        INIT => Some(crate::runtime::guest::init(file)),
        _ => None,
    }
}
