//! The exit codes of `mayfly-boot`, in one place.

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked; for `run`: stopped by SIGTERM after stopping its services.
    Ok = 0,
    /// The tree does not compile, or an argument or file is wrong; nothing was changed.
    Compile = 1,
    /// A state failed.
    StateFailed = 2,
    /// `apply --test --detailed-exitcode`: nothing failed, and something would change.
    Pending = 3,
    /// `status`: the instance answers and is not ready.
    NotReady = 4,
    /// `status`: nothing answers.
    NoAnswer = 5,
    /// `run` cannot work here at all (state directory, supervisor, address in use).
    Unable = 6,
    /// Another converge holds the lock.
    Locked = 7,
    /// The command line cannot be read (sysexits' EX_USAGE).
    Usage = 64,
    /// `apply`: all holds, but its report could not be written (sysexits' EX_IOERR).
    Output = 74,
    /// `apply` was ended by Ctrl-C; the report says what was not run.
    Interrupted = 130,
    /// `apply` was ended by SIGTERM or SIGHUP; the report says what was not run.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
