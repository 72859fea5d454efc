//! systemd, through `systemctl`: it speaks D-Bus to process 1 for us, which no program of our size could do cheaper.

// Effects: looks for drop-ins that systemd has not read.
#![allow(clippy::disallowed_methods)]

use super::builtin::Ends;
use super::{Error, Status, Supervisor, valid_name};
use crate::command;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "systemd";
/// systemd has its own deadlines, of 90 s unless the unit says otherwise; this is for when it does not answer.
const TIMEOUT: Duration = Duration::from_secs(300);
const START_LIMIT: &str = "start-limit-hit";
/// What is asked about a unit.
const PROPERTIES: &str = "--property=LoadState,ActiveState,MainPID,UnitFileState,NeedDaemonReload,DropInPaths,Result,\
                          ExecMainStatus";

/// Where drop-ins are, below the root; of systemd.unit(5) those that packages and administrators write to.
const DROP_INS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// systemd, by the `systemctl` found in the usual places.
#[derive(Debug, Clone)]
pub struct Systemd {
    systemctl: PathBuf,
    root: PathBuf,
}

impl Default for Systemd {
    fn default() -> Self {
        Self::new("systemctl")
    }
}

/// What `systemctl show` tells of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    load: String,
    active: String,
    main_pid: u32,
    file_state: String,
    reload_needed: bool,
    drop_ins: Vec<String>,
    /// Why it failed last: `exit-code`, `timeout`, `start-limit-hit`, …
    result: String,
    exit_status: String,
}

impl Systemd {
    /// systemd by this `systemctl`.
    pub fn new(systemctl: impl Into<PathBuf>) -> Self {
        Self { systemctl: systemctl.into(), root: PathBuf::from("/") }
    }

    /// The same for a systemd whose `/` is this directory here.
    #[must_use]
    pub fn below(self, root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), ..self }
    }

    fn systemctl(&self, arguments: Vec<String>, service: &str, verb: &'static str) -> Result<String, Error> {
        let argv: Vec<_> = [self.systemctl.display().to_string()].into_iter().chain(arguments).collect();
        let finished = command::run(&argv, TIMEOUT).map_err(|error| match error {
            command::Error::Start { source, .. } => {
                Error::Unreachable { supervisor: NAME, endpoint: self.systemctl.clone(), source }
            }
            command::Error::Deadline { after, .. } => {
                Error::Timeout { supervisor: NAME, service: service.to_owned(), verb, after }
            }
        })?;
        if finished.status.success() {
            return Ok(finished.stdout);
        }
        let reason = finished.stderr.trim().lines().collect::<Vec<_>>().join(" / ");
        Err(Error::Failed { supervisor: NAME, service: service.to_owned(), verb, reason })
    }

    fn show(&self, service: &str) -> Result<Shown, Error> {
        valid_name(NAME, service)?;
        self.systemctl(show_arguments(service), service, "look at").map(|text| shown(&text))
    }

    /// Do something to a unit that exists, after systemd has read its files anew where they changed.
    fn job(&self, service: &str, verb: &'static str) -> Result<(), Error> {
        let shown = self.show(service)?;
        // A unit file that was just written is not found until systemd has looked again.
        if shown.reload_needed || shown.load == "not-found" || self.has_unread_drop_in(service, &shown) {
            self.systemctl(vec!["daemon-reload".into()], service, verb)?;
        }
        if shown.load == "not-found" && self.show(service)?.load == "not-found" {
            return Err(Error::Unknown { supervisor: NAME, service: service.to_owned() });
        }
        match self.systemctl(job_arguments(verb, service), service, verb) {
            Err(Error::Failed { reason, .. }) => self.after_failure(service, verb, &reason),
            other => other.map(drop),
        }
    }

    /// systemd counts what we ask for among the starts in a row, and refuses more than `StartLimitBurst=` of them; then
    /// the service is down for no fault of its own. Forget the count and start it. What else failed is said.
    fn after_failure(&self, service: &str, verb: &'static str, reason: &str) -> Result<(), Error> {
        let failed = |reason| Error::Failed { supervisor: NAME, service: service.to_owned(), verb, reason };
        let shown = self.show(service)?;
        if !matches!(verb, "start" | "restart") || shown.result != START_LIMIT {
            return Err(failed(with_result(reason, &shown)));
        }
        self.systemctl(job_arguments("reset-failed", service), service, verb)?;
        match self.systemctl(job_arguments("start", service), service, verb) {
            Err(Error::Failed { reason, .. }) => Err(failed(with_result(&reason, &self.show(service)?))),
            other => other.map(drop),
        }
    }

    /// Whether there is a drop-in that systemd does not know. It says itself that it needs a reload when a file that it
    /// knows has changed, but keeps a list of directories and misses a new one.
    fn has_unread_drop_in(&self, service: &str, shown: &Shown) -> bool {
        let folders = DROP_INS.map(|place| Path::new(place).join(format!("{}.d", unit(service))));
        let there = folders.iter().flat_map(|folder| {
            let entries = std::fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
            entries.map(move |entry| Path::new("/").join(folder).join(entry.file_name()))
        });
        let mut configurations = there.filter(|path| path.extension().is_some_and(|e| e == "conf"));
        // A name found in one directory hides it in the others.
        let known =
            |path: &PathBuf| shown.drop_ins.iter().any(|k| Path::new(k).file_name() == path.file_name());
        configurations.any(|path| !known(&path))
    }
}

/// The unit's name: a service, unless another suffix is given.
fn unit(service: &str) -> String {
    let suffixes = [".service", ".socket", ".timer", ".target", ".path", ".mount", ".slice", ".scope"];
    if suffixes.iter().any(|s| service.ends_with(s)) {
        service.to_owned()
    } else {
        format!("{service}.service")
    }
}

fn show_arguments(service: &str) -> Vec<String> {
    vec!["show".into(), PROPERTIES.into(), "--".into(), unit(service)]
}

fn job_arguments(verb: &str, service: &str) -> Vec<String> {
    vec!["--no-ask-password".into(), verb.into(), "--".into(), unit(service)]
}

/// A unit that is not there yet can be masked too.
fn mask_arguments(verb: &str, service: &str, runtime: bool) -> Vec<String> {
    let mut arguments = vec!["--no-ask-password".into(), "--quiet".into()];
    if runtime {
        arguments.push("--runtime".into());
    }
    arguments.extend([verb.into(), "--".into(), unit(service)]);
    arguments
}

fn masked_of(shown: &Shown, runtime: bool) -> bool {
    shown.file_state == if runtime { "masked-runtime" } else { "masked" }
}

fn signal_arguments(signal: &str, service: &str) -> Vec<String> {
    vec!["kill".into(), "--kill-who=main".into(), format!("--signal={signal}"), "--".into(), unit(service)]
}

/// Parse `Key=value` lines; unknown keys are left out.
fn shown(text: &str) -> Shown {
    let mut shown = Shown::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "LoadState" => shown.load = value.to_owned(),
            "ActiveState" => shown.active = value.to_owned(),
            "MainPID" => shown.main_pid = value.parse().unwrap_or_default(),
            "UnitFileState" => shown.file_state = value.to_owned(),
            "NeedDaemonReload" => shown.reload_needed = value == "yes",
            "DropInPaths" => shown.drop_ins = value.split_whitespace().map(str::to_owned).collect(),
            "Result" => shown.result = value.to_owned(),
            "ExecMainStatus" => shown.exit_status = value.to_owned(),
            _ => {}
        }
    }
    shown
}

/// systemctl's words, and what became of the unit.
fn with_result(reason: &str, shown: &Shown) -> String {
    let status = Some(shown.exit_status.as_str()).filter(|s| !matches!(*s, "" | "0"));
    let status = status.map_or(String::new(), |s| format!(", status {s}"));
    match shown.result.as_str() {
        "" | "success" => reason.to_owned(),
        result => format!("{result}{status}: {reason}"),
    }
}

fn status_of(shown: &Shown) -> Status {
    match (shown.load.as_str(), shown.active.as_str()) {
        ("not-found", _) => Status::Unknown,
        (_, "active" | "reloading" | "refreshing") => {
            Status::Running(Some(shown.main_pid).filter(|pid| *pid > 0))
        }
        _ => Status::Stopped,
    }
}

/// `None` for units that cannot be enabled: static, generated, transient, indirect.
fn enabled_of(shown: &Shown) -> Option<bool> {
    match shown.file_state.as_str() {
        "enabled" | "enabled-runtime" | "linked" | "linked-runtime" | "alias" => Some(true),
        "disabled" | "masked" | "masked-runtime" => Some(false),
        _ => None,
    }
}

impl Supervisor for Systemd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        match self.show(service) {
            Ok(shown) => Ok(status_of(&shown)),
            Err(Error::Unknown { .. }) => Ok(Status::Unknown),
            Err(error) => Err(error),
        }
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        self.job(service, "start")
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.job(service, "stop")
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        self.job(service, "restart")
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.job(service, "reload")
    }

    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        valid_name(NAME, service)?;
        let failed =
            |reason| Error::Failed { supervisor: NAME, service: service.to_owned(), verb: "signal", reason };
        let signal = super::builtin::signal_named(signal).map_err(failed)?;
        self.systemctl(signal_arguments(signal.as_str(), service), service, "signal").map(drop)
    }

    fn enabled(&self, service: &str) -> Result<Option<bool>, Error> {
        Ok(enabled_of(&self.show(service)?))
    }

    fn set_enabled(&self, service: &str, enabled: bool) -> Result<(), Error> {
        self.job(service, if enabled { "enable" } else { "disable" })
    }

    fn masked(&self, service: &str, runtime: bool) -> Result<bool, Error> {
        Ok(masked_of(&self.show(service)?, runtime))
    }

    fn set_masked(&self, service: &str, runtime: bool, masked: bool) -> Result<(), Error> {
        valid_name(NAME, service)?;
        let verb = if masked { "mask" } else { "unmask" };
        self.systemctl(mask_arguments(verb, service, runtime), service, verb).map(drop)
    }

    fn ends(&self, _: &str) -> Option<Ends> {
        None
    }

    fn offline(&self) -> bool {
        false
    }

    fn shutdown(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What is made of any text in the place of `systemctl show`, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(text: &str) {
    let shown = shown(text);
    let _ = (status_of(&shown), enabled_of(&shown), masked_of(&shown, true), with_result(text, &shown));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_by_exact_text() {
        assert_eq!(
            show_arguments("web").join(" "),
            "show --property=LoadState,ActiveState,MainPID,UnitFileState,NeedDaemonReload,DropInPaths,Result,\
             ExecMainStatus -- web.service"
        );
        assert_eq!(job_arguments("restart", "web").join(" "), "--no-ask-password restart -- web.service");
        assert_eq!(
            mask_arguments("mask", "web", true).join(" "),
            "--no-ask-password --quiet --runtime mask -- web.service"
        );
        assert_eq!(
            signal_arguments("SIGHUP", "a.timer").join(" "),
            "kill --kill-who=main --signal=SIGHUP -- a.timer"
        );
    }

    #[test]
    fn answers_are_understood() {
        let text = "MainPID=42\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\nX=y\n";
        let running = shown(text);
        assert_eq!(status_of(&running), Status::Running(Some(42)));
        assert_eq!((enabled_of(&running), running.reload_needed), (Some(true), true));
        let of = |load: &str, active: &str| {
            status_of(&Shown { load: load.into(), active: active.into(), ..Shown::default() })
        };
        assert_eq!(of("not-found", "inactive"), Status::Unknown);
        assert_eq!(of("loaded", "failed"), Status::Stopped);
        assert_eq!(of("loaded", "activating"), Status::Stopped);
        assert_eq!(of("loaded", "active"), Status::Running(None));
        let enabled = |state: &str| enabled_of(&Shown { file_state: state.into(), ..Shown::default() });
        assert_eq!(["disabled", "static", "masked", ""].map(enabled), [Some(false), None, Some(false), None]);
        let masked = |state: &str, runtime| {
            masked_of(&Shown { file_state: state.into(), ..Shown::default() }, runtime)
        };
        assert!(masked("masked", false) && masked("masked-runtime", true));
        assert!(!masked("masked", true) && !masked("enabled", false));
    }

    #[test]
    fn a_missing_systemctl_is_said() {
        let error = Systemd::new("/does/not/exist/systemctl").status("web").unwrap_err().to_string();
        assert!(error.contains("/does/not/exist/systemctl"), "{error}");
        assert_eq!(
            Systemd::new("/x").status("--force").unwrap(),
            Status::Unknown,
            "no option slips in as a name"
        );
    }
}
