//! Init scripts: the services of `/etc/init.d`, on a machine that systemd does not run.

// Effects: runs scripts, reads the clock, pauses between looks.
#![allow(clippy::disallowed_methods)]

use super::builtin::Ends;
use super::{Error, Status, Supervisor, valid_name};
use crate::command::{self, Finished};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "sysv";
/// Scripts have deadlines of their own; this is for one that hangs.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A script may return before its daemon has written its pid file, or is gone.
const SETTLE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);
/// What LSB has a script answer to an action that it does not have.
const UNIMPLEMENTED: i32 = 3;
/// The run levels in which a machine works, and the one that it boots through.
const LEVELS: [&str; 5] = ["S", "2", "3", "4", "5"];

/// The init scripts below a root.
#[derive(Debug, Clone)]
pub struct Sysv {
    root: PathBuf,
    update_rc_d: PathBuf,
    yields: bool,
    patience: Duration,
}

impl Sysv {
    /// The scripts of `etc/init.d` below a root (`/`).
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), update_rc_d: "update-rc.d".into(), yields: false, patience: SETTLE }
    }

    /// Enable and disable by this `update-rc.d`.
    #[must_use]
    pub fn with_update_rc_d(self, program: impl Into<PathBuf>) -> Self {
        Self { update_rc_d: program.into(), ..self }
    }

    /// Wait this long for a service to do what its script has said that it did.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Leave services be while systemd is installed and does not run, as in the root of an image that is being made:
    /// who boots that image has systemd start them.
    #[must_use]
    pub fn yielding_to_systemd(self) -> Self {
        Self { yields: true, ..self }
    }

    /// Whether there are init scripts at all.
    pub fn is_there(&self) -> bool {
        self.root.join("etc/init.d").is_dir()
    }

    /// The service's script, if there is one that can be run.
    fn script(&self, service: &str) -> Result<PathBuf, Error> {
        valid_name(NAME, service)?;
        let path = self.root.join("etc/init.d").join(service);
        let runs = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
        match runs && service != "README" {
            true => Ok(path),
            false => Err(Error::Unknown { supervisor: NAME, service: service.to_owned() }),
        }
    }

    fn run(&self, argv: &[&str], service: &str, verb: &'static str) -> Result<Finished, Error> {
        let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        command::run(&argv, TIMEOUT).map_err(|error| match error {
            command::Error::Start { source, program } => {
                Error::Unreachable { supervisor: NAME, endpoint: program.into(), source }
            }
            command::Error::Deadline { after, .. } => {
                Error::Timeout { supervisor: NAME, service: service.to_owned(), verb, after }
            }
        })
    }

    fn ask(&self, service: &str, action: &'static str) -> Result<Finished, Error> {
        let script = self.script(service)?;
        self.run(&[&script.display().to_string(), action], service, action)
    }

    /// Ask for an action that must succeed.
    fn act(&self, service: &str, action: &'static str) -> Result<(), Error> {
        let finished = self.ask(service, action)?;
        match finished.status.code() {
            Some(0) => Ok(()),
            Some(UNIMPLEMENTED) if action == "reload" => Err(Error::Unsupported {
                supervisor: NAME,
                service: service.to_owned(),
                what: "reload this service",
            }),
            _ => Err(failed(service, action, &finished)),
        }
    }

    fn runs(&self, service: &str) -> Result<bool, Error> {
        Ok(self.ask(service, "status")?.status.success())
    }

    /// Wait until the script says that the service runs, or that it does not.
    fn settle(&self, service: &str, running: bool, verb: &'static str) -> Result<(), Error> {
        let end = Instant::now() + self.patience;
        while self.runs(service)? != running {
            if Instant::now() >= end {
                let reason =
                    format!("its script says that it {}", if running { "does not run" } else { "runs" });
                return Err(Error::Failed { supervisor: NAME, service: service.to_owned(), verb, reason });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn update_rc_d(&self, service: &str, verb: &'static str) -> Result<Finished, Error> {
        self.run(&[&self.update_rc_d.display().to_string(), service, verb], service, verb)
    }
}

/// The last words of a script that failed.
fn failed(service: &str, verb: &'static str, finished: &Finished) -> Error {
    let said = [&finished.stdout, &finished.stderr].map(|text| text.trim()).join("\n");
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" / ");
    let reason = if last.is_empty() { finished.status.to_string() } else { last };
    Error::Failed { supervisor: NAME, service: service.to_owned(), verb, reason }
}

/// Whether a link such as `S01web` starts the service.
fn starts(link: &str, service: &str) -> bool {
    link.strip_prefix('S').is_some_and(|rest| rest.len() == service.len() + 2 && rest.ends_with(service))
        && link.as_bytes().get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

impl Supervisor for Sysv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        match self.runs(service) {
            Ok(true) => Ok(Status::Running(None)),
            Ok(false) => Ok(Status::Stopped),
            Err(Error::Unknown { .. }) => Ok(Status::Unknown),
            Err(error) => Err(error),
        }
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        if self.runs(service)? {
            return Ok(());
        }
        self.act(service, "start")?;
        self.settle(service, true, "start")
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        if !self.runs(service)? {
            return Ok(());
        }
        self.act(service, "stop")?;
        self.settle(service, false, "stop")
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.act(service, "restart")
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.act(service, "reload")
    }

    fn signal(&self, service: &str, _: &str) -> Result<(), Error> {
        let what = "signal a service: its script does not tell which process it is";
        Err(Error::Unsupported { supervisor: NAME, service: service.to_owned(), what })
    }

    fn enabled(&self, service: &str) -> Result<Option<bool>, Error> {
        valid_name(NAME, service)?;
        let links = LEVELS
            .iter()
            .filter_map(|level| std::fs::read_dir(self.root.join(format!("etc/rc{level}.d"))).ok());
        let mut names = links.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(Some(names.any(|name| starts(&name, service))))
    }

    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error> {
        self.script(service)?;
        // The links must be there before they can be turned; both leave alone what is as asked.
        let verbs = if enabled { ["defaults", "enable"] } else { ["defaults-disabled", "disable"] };
        for verb in verbs {
            let finished = self.update_rc_d(service, verb)?;
            if !finished.status.success() {
                return Err(failed(service, verb, &finished));
            }
        }
        Ok(())
    }

    fn offline(&self) -> bool {
        let systemctl = |dir: &&str| self.root.join(dir).join("systemctl").is_file();
        self.yields
            && !self.root.join("run/systemd/system").exists()
            && ["bin", "usr/bin", "usr/local/bin"].iter().any(systemctl)
    }

    fn masked(&self, _: &str, _: bool) -> Result<bool, Error> {
        Ok(false)
    }

    fn set_masked(&self, service: &str, _: bool, _: bool) -> Result<(), Error> {
        Err(Error::masks_nothing(NAME, service))
    }

    fn ends(&self, _: &str) -> Option<Ends> {
        None
    }

    fn shutdown(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_apart() {
        assert!(starts("S01web", "web"));
        for other in ["K01web", "S01web2", "S01myweb", "Sweb", "S1web", "web", "S", ""] {
            assert!(!starts(other, "web"), "{other}");
        }
    }

    #[test]
    fn no_path_slips_in_as_a_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["../../bin/true", "-x", "", "README"] {
            assert_eq!(Sysv::new(root.path()).status(name).unwrap(), Status::Unknown);
        }
    }
}
