//! supervisord, through its XML-RPC interface on a unix socket.
//!
//! Services are programs (or groups); `group:process` names one process. Calls never ask supervisord to wait: its own
//! waiting answers only after whole seconds, while looking by ourselves sees the end of a process at once, and the looking wakes its loop.

// Effects: calls supervisord, reads its configuration, reads the clock, pauses between looks.
#![allow(clippy::disallowed_methods)]

use super::builtin::Ends;
use super::xmlrpc::{CallError, call};
use super::{Error, Status, Supervisor, valid_name};
use dxr::{TryFromValue, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "supervisord";
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// supervisord itself kills after `stopwaitsecs` and gives up after `startretries`; this is for when it does not.
const STATE_TIMEOUT: Duration = Duration::from_secs(180);
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_LONGEST: Duration = Duration::from_millis(50);

/// Fault codes of supervisord's `xmlrpc.py`.
mod fault {
    pub(super) const BAD_NAME: i32 = 10;
    /// It ended, or could not be made, before the call was over; the process's own record says why.
    pub(super) const SPAWN_ERROR: i32 = 50;
    pub(super) const ALREADY_STARTED: i32 = 60;
    pub(super) const NOT_RUNNING: i32 = 70;
    pub(super) const ALREADY_ADDED: i32 = 90;
}

/// A supervisord to talk to.
#[derive(Debug, Clone)]
pub struct Supervisord {
    socket: PathBuf,
    authorization: Option<String>,
}

/// One process, as `getAllProcessInfo` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    group: String,
    name: String,
    /// `RUNNING`, `STARTING`, `BACKOFF`, …
    state: String,
    pid: u32,
    exit_status: i32,
    /// What is wrong with it, in supervisord's words.
    trouble: String,
    log: String,
}

impl Process {
    fn from_value(value: &Value) -> Option<Self> {
        let fields = HashMap::<String, Value>::try_from_value(value).ok()?;
        let text =
            |name: &str| fields.get(name).and_then(|v| String::try_from_value(v).ok()).unwrap_or_default();
        let number =
            |name: &str| fields.get(name).and_then(|v| i32::try_from_value(v).ok()).unwrap_or_default();
        let trouble = Some(text("spawnerr")).filter(|t| !t.is_empty()).unwrap_or_else(|| text("description"));
        Some(Self {
            group: text("group"),
            name: text("name"),
            state: text("statename"),
            pid: u32::try_from(number("pid")).unwrap_or_default(),
            exit_status: number("exitstatus"),
            trouble,
            log: Some(text("stderr_logfile"))
                .filter(|l| !l.is_empty())
                .unwrap_or_else(|| text("stdout_logfile")),
        })
    }

    /// `group:name`, which every call takes.
    fn full_name(&self) -> String {
        format!("{}:{}", self.group, self.name)
    }

    fn is_of(&self, service: &str) -> bool {
        self.group == service || self.name == service || self.full_name() == service
    }

    fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "RUNNING" | "STARTING")
    }

    fn is_down(&self) -> bool {
        matches!(self.state.as_str(), "STOPPED" | "EXITED" | "FATAL")
    }

    /// How a start went: `None` while it is not decided.
    fn start_result(&self) -> Option<Result<(), String>> {
        match self.state.as_str() {
            "RUNNING" => Some(Ok(())),
            "STARTING" | "STOPPING" => None,
            "EXITED" if self.exit_status == 0 => Some(Ok(())),
            state => {
                let log = if self.log.is_empty() { String::new() } else { format!("; see {}", self.log) };
                Some(Err(format!("it is in state {state}: {}{log}", self.trouble)))
            }
        }
    }
}

impl Supervisord {
    /// The supervisord behind this socket, without a password.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), authorization: None }
    }

    /// The supervisord whose configuration is in the usual places below the root, or else at the usual socket.
    pub fn find(root: &Path) -> Self {
        let configuration =
            ["etc/supervisord.conf", "etc/supervisor/supervisord.conf"].map(|file| root.join(file));
        let found = configuration.iter().find_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            from_configuration(&text, path.parent().unwrap_or(root))
        });
        found.map_or_else(
            || Self::new(root.join("var/run/supervisor.sock")),
            |(socket, authorization)| Self { socket: below(root, &socket), authorization },
        )
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        let answer =
            call(&self.socket, self.authorization.as_deref(), "supervisor.getState", vec![], CALL_TIMEOUT);
        answer.is_ok()
    }

    fn call(&self, method: &str, params: Vec<Value>) -> Result<Value, CallError> {
        call(
            &self.socket,
            self.authorization.as_deref(),
            &format!("supervisor.{method}"),
            params,
            CALL_TIMEOUT,
        )
    }

    fn wrong(&self, error: CallError, service: &str, verb: &'static str) -> Error {
        match error {
            CallError::Io(source) => {
                Error::Unreachable { supervisor: NAME, endpoint: self.socket.clone(), source }
            }
            CallError::Fault(f) if f.code() == fault::BAD_NAME => {
                Error::Unknown { supervisor: NAME, service: service.to_owned() }
            }
            CallError::Fault(f) => Error::Failed {
                supervisor: NAME,
                service: service.to_owned(),
                verb,
                reason: f.string().to_owned(),
            },
            CallError::Answer(reason) => Error::Answer { supervisor: NAME, reason },
        }
    }

    /// The processes of a service; none when nobody knows it.
    fn processes(&self, service: &str) -> Result<Vec<Process>, Error> {
        valid_name(NAME, service)?;
        let list = self.call("getAllProcessInfo", vec![]).map_err(|e| self.wrong(e, service, "look at"))?;
        let Value::Array(list) = list else {
            return Err(Error::Answer { supervisor: NAME, reason: "no list of processes".into() });
        };
        Ok(list.iter().filter_map(Process::from_value).filter(|p| p.is_of(service)).collect())
    }

    fn known(&self, service: &str) -> Result<Vec<Process>, Error> {
        let processes = self.processes(service)?;
        if processes.is_empty() {
            return Err(Error::Unknown { supervisor: NAME, service: service.to_owned() });
        }
        Ok(processes)
    }

    /// Have the configuration read again, applying nothing: the groups that are new, and those that changed.
    fn reread(&self) -> Result<(Vec<String>, Vec<String>), CallError> {
        let answer = self.call("reloadConfig", vec![])?;
        let lists =
            Vec::<Vec<Vec<String>>>::try_from_value(&answer).map_err(|e| CallError::Answer(e.to_string()))?;
        let mut lists = lists.into_iter().flatten();
        Ok((lists.next().unwrap_or_default(), lists.next().unwrap_or_default()))
    }

    /// Read the configuration again and apply it to this service alone: add it when it is new, replace it (stopped)
    /// when its section changed. A configuration that cannot be read changes nothing for services that are known.
    fn update(&self, service: &str) -> Result<Vec<Process>, Error> {
        let group = group_of(service);
        let (added, changed) = match self.reread() {
            Ok(lists) => lists,
            Err(error) => {
                let error = self.wrong(error, service, "reread the configuration of");
                return self.known(service).map_err(|_| error);
            }
        };
        let (added, changed) = [added, changed].map(|list| list.iter().any(|name| name == group)).into();
        let wrong = |e| self.wrong(e, service, "update");
        if changed {
            self.stop_all(&self.known(service)?, service)?;
            self.call("removeProcessGroup", vec![text(group)]).map_err(wrong)?;
        }
        if added || changed {
            match self.call("addProcessGroup", vec![text(group)]) {
                Err(CallError::Fault(f)) if f.code() == fault::ALREADY_ADDED => {}
                other => _ = other.map_err(wrong)?,
            }
        }
        self.known(service)
    }

    fn start_all(&self, processes: &[Process], service: &str, verb: &'static str) -> Result<(), Error> {
        for process in processes.iter().filter(|p| !p.is_up()) {
            match self.call("startProcess", vec![text(&process.full_name()), Value::Boolean(false)]) {
                Err(CallError::Fault(f))
                    if [fault::ALREADY_STARTED, fault::SPAWN_ERROR].contains(&f.code()) => {}
                other => _ = other.map_err(|e| self.wrong(e, service, verb))?,
            }
        }
        let results = self.look_until(service, verb, |now| {
            let results: Option<Vec<_>> = now.iter().map(Process::start_result).collect();
            results
                .and_then(|all| all.into_iter().find_map(Result::err).map_or(Some(Ok(())), |e| Some(Err(e))))
        })?;
        results.map_err(|reason| Error::Failed {
            supervisor: NAME,
            service: service.to_owned(),
            verb,
            reason,
        })
    }

    fn stop_all(&self, processes: &[Process], service: &str) -> Result<(), Error> {
        for process in processes.iter().filter(|p| !p.is_down()) {
            match self.call("stopProcess", vec![text(&process.full_name()), Value::Boolean(false)]) {
                Err(CallError::Fault(f)) if f.code() == fault::NOT_RUNNING => {}
                other => _ = other.map_err(|e| self.wrong(e, service, "stop"))?,
            }
        }
        self.look_until(service, "stop", |now| now.iter().all(Process::is_down).then_some(()))
    }

    /// Look at the service's processes, quickly first, until there is an answer.
    fn look_until<T>(
        &self,
        service: &str,
        verb: &'static str,
        mut answer: impl FnMut(&[Process]) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + STATE_TIMEOUT;
        let mut pause = LOOK_FIRST;
        loop {
            if let Some(found) = answer(&self.known(service)?) {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let (service, after) = (service.to_owned(), STATE_TIMEOUT);
                return Err(Error::Timeout { supervisor: NAME, service, verb, after });
            }
            // supervisord tells nobody of changes, but for listeners in its own configuration.
            std::thread::sleep(pause);
            pause = (pause * 5 / 4).min(LOOK_LONGEST);
        }
    }
}

/// The group of a service named `group` or `group:process`.
fn group_of(service: &str) -> &str {
    service.split(':').next().unwrap_or(service)
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// An absolute path of the configuration, below the root.
fn below(root: &Path, path: &Path) -> PathBuf {
    if path.starts_with(root) { path.to_owned() } else { root.join(path.strip_prefix("/").unwrap_or(path)) }
}

/// The socket of `[unix_http_server]` and what to show there; `here` is the configuration's directory.
fn from_configuration(configuration: &str, here: &Path) -> Option<(PathBuf, Option<String>)> {
    let options =
        ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
    let ini = ini::Ini::load_from_str_opt(configuration, options).ok()?;
    let section = ini.section(Some("unix_http_server"))?;
    let value = |key: &str| {
        let raw = section.get(key)?;
        let uncommented = raw.split(" ;").next().unwrap_or(raw).trim();
        (!uncommented.is_empty()).then(|| uncommented.replace("%(here)s", &here.display().to_string()))
    };
    let authorization = value("username")
        .zip(value("password"))
        .map(|(user, password)| format!("Basic {}", base64(format!("{user}:{password}").as_bytes())));
    Some((PathBuf::from(value("file")?), authorization))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Supervisor for Supervisord {
    fn name(&self) -> &'static str {
        NAME
    }

    fn status(&self, service: &str) -> Result<Status, Error> {
        let processes = match self.processes(service) {
            Err(Error::Unknown { .. }) => return Ok(Status::Unknown),
            other => other?,
        };
        if processes.is_empty() {
            // It may be written down and not yet applied; to read is to change nothing.
            let written = self.reread().is_ok_and(|(added, _)| added.iter().any(|n| n == group_of(service)));
            return Ok(if written { Status::Stopped } else { Status::Unknown });
        }
        let up = processes.iter().all(Process::is_up);
        let pid = processes.first().map(|p| p.pid).filter(|pid| *pid > 0 && processes.len() == 1);
        Ok(if up { Status::Running(pid) } else { Status::Stopped })
    }

    fn start(&self, service: &str) -> Result<(), Error> {
        let processes = self.processes(service)?;
        if !processes.is_empty() && processes.iter().all(|p| p.state == "RUNNING") {
            return Ok(());
        }
        let processes = self.update(service)?;
        self.start_all(&processes, service, "start")
    }

    fn stop(&self, service: &str) -> Result<(), Error> {
        self.stop_all(&self.known(service)?, service)
    }

    fn restart(&self, service: &str) -> Result<(), Error> {
        let processes = self.update(service)?;
        self.stop_all(&processes, service)?;
        let stopped = self.known(service)?;
        self.start_all(&stopped, service, "restart")
    }

    fn reload(&self, service: &str) -> Result<(), Error> {
        self.signal(service, "HUP")
    }

    fn signal(&self, service: &str, signal: &str) -> Result<(), Error> {
        let failed =
            |reason| Error::Failed { supervisor: NAME, service: service.to_owned(), verb: "signal", reason };
        let signal = super::builtin::signal_named(signal).map_err(failed)?;
        let number = text(&(signal as i32).to_string());
        for process in self.known(service)? {
            self.call("signalProcess", vec![text(&process.full_name()), number.clone()])
                .map_err(|e| self.wrong(e, service, "signal"))?;
        }
        Ok(())
    }

    /// `autostart` is in the configuration, which states manage as a file.
    fn enabled(&self, _service: &str) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    fn set_enabled(&self, service: &str, _enabled: bool) -> Result<(), Error> {
        let what = "set whether a program starts at boot: write autostart= in its section";
        Err(Error::Unsupported { supervisor: NAME, service: service.to_owned(), what })
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

    fn offline(&self) -> bool {
        false
    }

    fn shutdown(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What is made of any bytes in the place of the list of processes, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(answer: &[u8]) {
    if let Some(Value::Array(list)) = super::xmlrpc::fuzz(answer) {
        for process in list.iter().filter_map(Process::from_value) {
            let _ = (process.start_result(), process.full_name(), process.is_up(), process.is_down());
        }
    }
}

/// What is made of any text in the place of supervisord's configuration, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz_configuration(text: &str) {
    let _ = from_configuration(text, Path::new("/etc"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_found_in_the_configuration() {
        let debian = "; comment\n[unix_http_server]\nfile=/var/run/x.sock   ; (the path)\nchmod=0700 ; x\n[supervisord]\n";
        assert_eq!(
            from_configuration(debian, Path::new("/etc")),
            Some((PathBuf::from("/var/run/x.sock"), None))
        );
        let other = "[unix_http_server]\nfile = %(here)s/s.sock\nusername = u\npassword = p\n";
        let expected = (PathBuf::from("/opt/s.sock"), Some("Basic dTpw".to_owned()));
        assert_eq!(from_configuration(other, Path::new("/opt")), Some(expected));
        assert_eq!(from_configuration("[supervisord]\n", Path::new("/")), None);
    }

    #[test]
    fn a_start_is_judged_by_the_state() {
        let process = |state: &str, exit_status| Process {
            group: "g".into(),
            name: "n".into(),
            state: state.into(),
            pid: 0,
            exit_status,
            trouble: "Exited too quickly".into(),
            log: "/log".into(),
        };
        assert_eq!(process("RUNNING", 0).start_result(), Some(Ok(())));
        assert_eq!(process("STARTING", 0).start_result(), None);
        assert_eq!(process("EXITED", 0).start_result(), Some(Ok(())));
        let error = process("BACKOFF", 1).start_result().unwrap().unwrap_err();
        assert_eq!(error, "it is in state BACKOFF: Exited too quickly; see /log");
        assert!(process("n", 0).is_of("g") && process("n", 0).is_of("n") && process("n", 0).is_of("g:n"));
        assert!(!process("n", 0).is_of("other"));
    }
}
