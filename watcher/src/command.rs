//! Runs one command to its end, with a deadline and bounded output.

// Effects: starts, awaits and kills a process.
#![allow(clippy::disallowed_methods)]

use crate::programs::{PATH, is_executable, search};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Output beyond this is read and thrown away.
const MAX_OUTPUT: usize = 64 << 10;
/// A process that ended has this long to have its last words read; who inherited its pipes does not hold us up.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why it did not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{program}: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("`{program}` was not done within {}s", after.as_secs_f64())]
    Deadline { program: String, after: Duration },
}

/// Run an argument vector without a shell, in its own process group, with an environment of its own (ours may hold
/// secrets), and wait. At the deadline the group is killed.
pub(crate) fn run(argv: &[String], deadline: Duration) -> Result<Finished, Error> {
    let [program, arguments @ ..] = argv else {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "an empty command");
        return Err(Error::Start { program: String::new(), source });
    };
    let start = |source| Error::Start { program: program.clone(), source };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir("/")
        .process_group(0)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(start)?;
    let end = Instant::now() + deadline;
    let group = Pid::from_raw(child.id().cast_signed());
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    if ended(group).recv_timeout(end.saturating_duration_since(Instant::now())).is_err() {
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
        return Err(Error::Deadline { program: argv.join(" "), after: deadline });
    }
    let status = reap(&mut child).map_err(start)?;
    let words = |from: &Receiver<Vec<u8>>| {
        let bytes = from.recv_timeout(LAST_WORDS).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished { status, stdout: words(&stdout), stderr: words(&stderr) })
}

/// Tells when the process has ended, without reaping it.
fn ended(pid: Pid) -> Receiver<()> {
    let (tell, told) = channel();
    in_thread(move || {
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::Error::EINTR) {}
        let _ = tell.send(());
    });
    told
}

fn reap(child: &mut Child) -> std::io::Result<ExitStatus> {
    child.wait()
}

fn collect(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (tell, told): (Sender<Vec<u8>>, _) = channel();
    in_thread(move || {
        let mut kept = Vec::new();
        if let Some(mut from) = from {
            let _ = from.by_ref().take(MAX_OUTPUT as u64).read_to_end(&mut kept);
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        }
        let _ = tell.send(kept);
    });
    told
}

fn in_thread(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("command".into()).stack_size(128 * 1024);
    if let Err(error) = thread.spawn(work) {
        tracing::error!("no thread for a command: {error}");
    }
}

/// Run a command whose exit status 0 means yes; the error is a sentence with its last words. What they say of secrets is
/// hidden before they are cut: half of one would not be known any more.
pub(crate) fn succeed(
    argv: &[String],
    deadline: Duration,
    hide: &dyn Fn(&str) -> String,
) -> Result<(), String> {
    let finished = run(argv, deadline).map_err(|e| hide(&e.to_string()))?;
    if finished.status.success() {
        return Ok(());
    }
    let words = if finished.stderr.trim().is_empty() { &finished.stdout } else { &finished.stderr };
    let command = hide(&argv.join(" "));
    let words = match tail(&hide(words)) {
        words if words.is_empty() => " and said nothing".to_owned(),
        words => format!(": {words}"),
    };
    Err(format!("`{command}` ended with {}{words}", finished.status))
}

/// Whether there is such a program where [`run`] looks for it.
pub(crate) fn finds(program: &str) -> bool {
    if program.contains('/') {
        return is_executable(&Path::new("/").join(program));
    }
    search(PATH, program).is_some()
}

/// The last lines, on one.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let shown = lines[lines.len().saturating_sub(5)..].join(" / ");
    let start = shown.char_indices().rev().nth(999).map_or(0, |(at, _)| at);
    shown[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(String::from).into()
    }

    #[test]
    fn status_and_output_are_told() {
        let finished = run(&shell("echo out; echo err >&2; exit 3"), Duration::from_secs(20)).unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
        let error =
            succeed(&shell("echo one >&2; echo two >&2; exit 1"), Duration::from_secs(20), &str::to_owned)
                .unwrap_err();
        assert!(error.ends_with("one / two"), "{error}");
    }

    #[test]
    fn a_command_that_says_nothing_is_told_to_have() {
        let error = succeed(&shell("exit 1"), Duration::from_secs(20), &str::to_owned).unwrap_err();
        assert!(error.ends_with("ended with exit status: 1 and said nothing"), "{error}");
    }

    #[test]
    fn programs_are_found_where_they_are_run_from() {
        assert!(finds("sh") && finds("/bin/sh") && finds("bin/sh"));
        assert!(!finds("no-such-program") && !finds("/etc/passwd") && !finds("/etc"));
    }

    #[test]
    fn what_is_hidden_is_hidden_before_the_last_words_are_cut() {
        // 1,003 characters are said, and only the last thousand are told.
        let script = "printf 'topsecret%0994d' 0 >&2; exit 1 # topsecret";
        let hide = |text: &str| text.replace("topsecret", "<hidden>");
        let error = succeed(&shell(script), Duration::from_secs(20), &hide).unwrap_err();
        assert!(!error.contains("secret") && error.contains("# <hidden>` ended with"), "{error}");
    }

    #[test]
    fn the_deadline_kills_the_group() {
        let error = run(&shell("sleep 1000 & sleep 1000"), Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }));
    }

    #[test]
    fn much_output_is_bounded_and_does_not_block() {
        let finished =
            run(&shell("head -c 1000000 /dev/zero | tr '\\0' x"), Duration::from_secs(20)).unwrap();
        assert_eq!(finished.stdout.len(), MAX_OUTPUT);
    }

    #[test]
    fn our_environment_is_not_inherited() {
        let finished = run(&shell("env"), Duration::from_secs(20)).unwrap();
        assert!(!finished.stdout.contains("CARGO"), "{}", finished.stdout);
    }

    #[test]
    fn what_cannot_start_is_named() {
        let error =
            succeed(&["/does/not/exist".to_owned()], Duration::from_secs(1), &str::to_owned).unwrap_err();
        assert!(error.contains("/does/not/exist"), "{error}");
        assert!(succeed(&[], Duration::from_secs(1), &str::to_owned).is_err());
    }
}
