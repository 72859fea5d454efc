//! OpenPGP by the `gpg` program, with a home of its own.

use std::path::Path;

use crate::host::{Command, Host, Output};
use std::time::Duration;

/// One value is opened within this, the start of an agent included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What the program is given through a pipe.
const LONGEST: usize = 64 * 1024;

/// What a block says.
pub(super) fn open(text: &str, home: &Path, host: &dyn Host) -> Result<Vec<u8>, String> {
    if text.len() > LONGEST {
        return Err(format!("the block is longer than {} KiB", LONGEST / 1024));
    }
    let options = ["--batch", "--no-tty", "--no-options", "--status-fd", "2", "--decrypt"];
    let output = run("gpg", home, &options, text.as_bytes(), host)?;
    let status = Status::read(&output.stderr);
    // gpg writes what it could read before it knows whether that is what was encrypted; its exit code also tells of a
    // signature whose key is not there.
    if !status.opened || status.forged {
        return Err(why(&output, &status, home));
    }
    if output.stdout.len() >= Output::LIMIT {
        return Err(format!("what it says is longer than {} KiB", Output::LIMIT / 1024));
    }
    Ok(output.stdout)
}

/// Ends the agent that gpg has started for this home: a key that is not in use needs no process to hold it.
pub(super) fn dismiss(home: &Path, host: &dyn Host) {
    // An agent that is not ended holds nothing that the home does not.
    let _ = run("gpgconf", home, &["--kill", "gpg-agent"], &[], host);
}

fn run(
    program: &str,
    home: &Path,
    options: &[&str],
    stdin: &[u8],
    host: &dyn Host,
) -> Result<Output, String> {
    let home = home.display().to_string();
    let words = [program, "--homedir", &home].into_iter().chain(options.iter().copied());
    let command =
        Command { stdin: stdin.to_vec(), timeout: TIMEOUT, ..Command::argv(words).env("LC_ALL", "C") };
    host.run(&command).map_err(|error| format!("{error}; is the package gnupg installed?"))
}

/// What gpg says for programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    /// Decrypted, and whole.
    opened: bool,
    /// Its signature is another's, or it was changed on the way.
    forged: bool,
    /// There is no key for it.
    keyless: bool,
}

impl Status {
    fn read(stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let words = text.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")?.split(' ').next());
        words.fold(Self::default(), |mut status, word| {
            match word {
                "DECRYPTION_OKAY" => status.opened = true,
                "DECRYPTION_FAILED" | "BADMDC" | "BADSIG" => status.forged = true,
                "NO_SECKEY" => status.keyless = true,
                _ => {}
            }
            status
        })
    }
}

/// gpg's own words, for people.
fn why(output: &Output, status: &Status, home: &Path) -> String {
    let said = output.err();
    let plain = said.lines().filter(|line| !line.starts_with("[GNUPG:]"));
    let last = plain.map(str::trim).rfind(|line| line.starts_with("gpg: ")).unwrap_or("it gives no reason");
    match status.keyless {
        true => format!("{} has no secret key for it ({last})", home.display()),
        false => format!("{last} (home {})", home.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn what_gpg_reads_before_it_knows_better_does_not_count() {
        let read = |words: &str| Status::read(words.as_bytes());
        assert_eq!(read("gpg: x\n[GNUPG:] DECRYPTION_OKAY\n"), Status { opened: true, ..Status::default() });
        // A key id or a file name is no status.
        assert_eq!(read("gpg: DECRYPTION_OKAY\n[GNUPG:] X DECRYPTION_OKAY\n"), Status::default());
        let changed = read("[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] BADMDC\n");
        assert!(changed.forged);
        assert!(read("[GNUPG:] NO_SECKEY ABC\n").keyless);
    }
}
