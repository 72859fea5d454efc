//! Runs one command of the user's own: no shell unless asked for, a deadline, its output shown line by line.
// Effects: starts programs.
#![allow(clippy::disallowed_methods)]

use crate::run::Cancel;
use crate::spec::{Command, Hook};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

/// Lines of output that are shown, and characters of each.
const LINES: usize = 500;
const WIDTH: usize = 1_000;
/// Lines that a failure repeats.
const TAIL: usize = 20;
/// How long a command that was asked to end may take to.
const GRACE: Duration = Duration::from_secs(5);

/// Why a hook counts as failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HookError {
    /// It could not be started.
    #[error("{hook}: cannot be started: {why}")]
    Unstarted {
        /// Which.
        hook: String,
        /// Why.
        why: String,
    },
    /// It ended with another exit code than 0.
    #[error("{hook}: {how}")]
    Failed {
        /// Which.
        hook: String,
        /// Exit code or signal.
        how: String,
        /// Its last lines.
        output: Vec<String>,
    },
    /// It took too long and was ended.
    #[error("{hook}: not done after {}", humantime::format_duration(*.limit))]
    TimedOut {
        /// Which.
        hook: String,
        /// How long it may take.
        limit: Duration,
        /// Its last lines.
        output: Vec<String>,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl HookError {
    /// What the command said last.
    pub(crate) fn output(&self) -> Vec<String> {
        match self {
            Self::Failed { output, .. } | Self::TimedOut { output, .. } => output.clone(),
            Self::Unstarted { .. } | Self::Interrupted => Vec::new(),
        }
    }
}

/// Runs a hook to its end. What it started in the background is left alone; what does not end in time is killed with all
/// its children.
///
/// # Errors
/// [`HookError`], with the end of the output.
pub(crate) async fn run(
    hook: &Hook,
    variables: &[(&str, String)],
    say: &(dyn Fn(String) + Send + Sync),
    cancel: &Cancel,
) -> Result<(), HookError> {
    let name = hook.words();
    let mut child = command(&hook.command, variables)
        .spawn()
        .map_err(|error| HookError::Unstarted { hook: name.clone(), why: error.to_string() })?;
    let mut group = Group::of(&child);
    let (sender, mut receiver) = mpsc::channel(64);
    read(child.stdout.take(), sender.clone());
    read(child.stderr.take(), sender);
    let last = Mutex::new(VecDeque::new());
    let shown = async {
        let mut count = 0;
        while let Some(line) = receiver.recv().await {
            count += 1;
            if count <= LINES {
                say(format!("{}: {line}", short(&hook.command)));
            }
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            last.push_back(line);
            if last.len() > TAIL {
                last.pop_front();
            }
        }
    };
    let ended = tokio::select! {
        biased;
        () = cancel.asked() => Err(HookError::Interrupted),
        status = finish(&mut child, shown) => status.map_err(|why| HookError::Unstarted { hook: name.clone(), why }),
        () = tokio::time::sleep(hook.timeout) => {
            Err(HookError::TimedOut { hook: name.clone(), limit: hook.timeout, output: Vec::new() })
        }
    };
    let tail: Vec<String> = last.into_inner().unwrap_or_else(PoisonError::into_inner).into();
    match ended {
        Ok(status) if status.success() => {
            group.leave();
            Ok(())
        }
        Ok(status) => {
            group.leave();
            Err(HookError::Failed { hook: name, how: how(status), output: tail })
        }
        Err(error) => {
            group.end(&mut child).await;
            Err(match error {
                HookError::TimedOut { hook, limit, .. } => HookError::TimedOut { hook, limit, output: tail },
                other => other,
            })
        }
    }
}

/// Both at once: a command that says much must be read for it to end. Children that keep the pipe open after it has ended
/// are not waited for.
async fn finish(child: &mut Child, shown: impl Future<Output = ()>) -> Result<ExitStatus, String> {
    let mut shown = std::pin::pin!(shown);
    let mut read = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut shown, if !read => read = true,
        }
    };
    if !read {
        let _ = tokio::time::timeout(Duration::from_millis(500), shown).await;
    }
    status.map_err(|error| error.to_string())
}

fn command(what: &Command, variables: &[(&str, String)]) -> tokio::process::Command {
    let mut command = match what {
        Command::Program(words) => {
            let (program, arguments) = words.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
            let mut command = tokio::process::Command::new(program);
            command.args(arguments);
            command
        }
        Command::Shell(line) => {
            let mut command = tokio::process::Command::new("/bin/sh");
            command.arg("-c").arg(line);
            command
        }
    };
    command.envs(variables.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C at the terminal is for this program, which then ends the command in order.
    command.process_group(0).kill_on_drop(true);
    command
}

/// The command and its children. Where nobody waits for them any more, they are killed.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Asks them to end, and then makes those that did not.
    async fn end(&mut self, child: &mut Child) {
        let Some(group) = self.0.take() else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
        // The command's own end is not that of its children.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }

    /// The command has ended by itself: what it left in the background is its own affair.
    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Sends the lines of a pipe until it ends; lines that are too long are cut, whatever their length.
fn read(pipe: Option<impl AsyncRead + Send + Unpin + 'static>, sender: mpsc::Sender<String>) {
    let Some(pipe) = pipe else { return };
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            let bytes = pipe.fill_buf().await.unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(bytes.len());
            let room = WIDTH.saturating_sub(line.len()).min(taken);
            line.extend_from_slice(bytes.get(..room).unwrap_or_default());
            pipe.consume(end.map_or(taken, |end| end + 1));
            if end.is_some() && sender.send(text(&std::mem::take(&mut line))).await.is_err() {
                return;
            }
        }
        if !line.is_empty() {
            let _ = sender.send(text(&line)).await;
        }
    });
}

/// Control characters of a command do not reach the terminal.
fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn short(command: &Command) -> String {
    let word = match command {
        Command::Program(words) => words.first().map_or("", String::as_str),
        Command::Shell(line) => line.split_whitespace().next().unwrap_or_default(),
    };
    word.rsplit('/').next().unwrap_or(word).to_owned()
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("ended by signal {signal}"),
        _ => "did not end well".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::channel;
    use crate::spec::{OnFailure, When};
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::sync::Arc;
    use tokio::io::AsyncReadExt;
    use tokio::net::unix::pipe;

    fn hook(command: Command, timeout: Duration) -> Hook {
        let steps = vec!["register".to_owned()];
        Hook { when: When::Before, steps, command, timeout, on_failure: OnFailure::GoOn }
    }

    fn shell(line: &str) -> Command {
        Command::Shell(line.to_owned())
    }

    async fn said(hook: &Hook) -> (Result<(), HookError>, Vec<String>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&lines);
        let say = move |line: String| keep.lock().expect("no panic").push(line);
        let (_canceller, cancel) = channel();
        let variables = [("MAYFLY_STEP", "register".to_owned())];
        let result = run(hook, &variables, &say, &cancel).await;
        let mut lines = lines.lock().expect("no panic").clone();
        lines.sort();
        (result, lines)
    }

    #[tokio::test]
    async fn a_command_gets_its_arguments_as_they_are_and_the_context() {
        let words = ["/bin/echo", "$MAYFLY_STEP", "a  b", "*"].map(str::to_owned).to_vec();
        let (result, lines) = said(&hook(Command::Program(words), Duration::from_secs(20))).await;
        assert_eq!((result, lines), (Ok(()), vec!["echo: $MAYFLY_STEP a  b *".to_owned()]));
        let (result, lines) =
            said(&hook(shell("echo at $MAYFLY_STEP; echo no >&2; exit 3"), Duration::from_secs(20))).await;
        assert_eq!(lines, ["echo: at register", "echo: no"]);
        let error = result.expect_err("it failed");
        assert_eq!(error.output().len(), 2);
        assert!(error.to_string().ends_with("ended with exit code 3"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).expect("a named pipe");
        let line = format!("(trap '' TERM; echo began; exec sleep 600) > {} & wait", fifo.display());
        let mut heard = String::new();
        // On a busy machine it may be ended before it began.
        for seconds in [1, 5, 30] {
            let mut child = pipe::OpenOptions::new().open_receiver(&fifo).expect("opened");
            let (result, _) = said(&hook(shell(&line), Duration::from_secs(seconds))).await;
            assert!(matches!(result, Err(HookError::TimedOut { .. })), "{result:?}");
            // It holds the pipe until it ends.
            let ended = tokio::time::timeout(Duration::from_secs(60), child.read_to_string(&mut heard)).await;
            ended.expect("the child has ended").expect("read");
            if !heard.is_empty() {
                break;
            }
        }
        assert_eq!(heard, "began\n");
    }

    #[tokio::test]
    async fn much_output_is_read_and_cut_and_a_child_that_stays_holds_nothing_up() {
        let line = "sleep 30 & i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; head -c 9000000 /dev/zero | tr '\\0' x; echo; exit 1";
        let (result, lines) = said(&hook(shell(line), Duration::from_secs(25))).await;
        assert!(lines.len() <= LINES, "{}", lines.len());
        let output = result.expect_err("it failed").output();
        assert_eq!(output.len(), TAIL);
        assert_eq!(output.last().map(String::len), Some(WIDTH));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_said() {
        let words = vec!["/no/such/program".to_owned()];
        let (result, _) = said(&hook(Command::Program(words), Duration::from_secs(1))).await;
        let error = result.expect_err("it cannot run").to_string();
        assert!(error.contains("cannot be started: No such file"), "{error}");
    }
}
