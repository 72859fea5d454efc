//! Words on standard output and standard error, whoever still reads them.
// Effects: writes to the standard streams.
#![allow(clippy::disallowed_methods)]

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};

/// A line on standard error. Nobody may read it any more; what was to be done goes on all the same.
pub(crate) fn warn(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A line on standard output, which is the console of an instance.
pub(crate) fn console(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// The result of a command, on standard output. A reader that has gone has seen enough.
///
/// # Errors
/// It cannot be written for another reason, such as a full disk.
pub(crate) fn result(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    // What could not be written is not tried again when the buffer goes.
    drop(out.into_parts());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
