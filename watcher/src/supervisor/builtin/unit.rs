//! What a unit file means: the stated subset of systemd.service(5), as data. Pure.

use super::keys::note;
use super::text::{Directive, Specifiers, UnitError, is_variable, span, words};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When the process counts as started (`Type=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Once it is executed (`simple`, `exec`).
    Exec,
    /// Once it has told so on `NOTIFY_SOCKET`.
    Notify,
    /// Once it has ended well.
    Oneshot,
}

/// Which ends lead to a restart (`Restart=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    Always,
}

impl Restart {
    /// As a unit says it; nothing for `no`, which it need not say.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::No => "",
            Self::OnSuccess => "on-success",
            Self::OnFailure => "on-failure",
            Self::OnAbnormal => "on-abnormal",
            Self::Always => "always",
        }
    }
}

/// Who is signalled at a stop (`KillMode=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillMode {
    /// The whole process group, then SIGKILL to it.
    Group,
    /// The main process, then SIGKILL to the group.
    Mixed,
    /// Only the main process.
    Process,
}

/// Where output goes (`StandardOutput=`, `StandardError=`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Output {
    /// The service's own log file (`journal`, `syslog`, `kmsg`, and the default).
    #[default]
    Log,
    /// The supervisor's own output.
    Inherit,
    Null,
    Append(PathBuf),
    Truncate(PathBuf),
}

/// One command line, before variables are put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    /// `-`: its failure does not count.
    pub(crate) ignore_failure: bool,
    /// `+` or `!`: not as the service's user.
    pub(crate) privileged: bool,
    /// `:`: variables are left as they are.
    pub(crate) verbatim: bool,
    /// `@`: the second word is the process's own name for itself.
    pub(crate) argv0: Option<String>,
}

/// When a service that was started is ready, beside `Type=` (`X-Mayfly-ReadyPort=`, `X-Mayfly-ReadyCommand=`; systemd
/// passes over keys that begin with `X-`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Somebody accepts connections there.
    Port(std::net::SocketAddr),
    /// It ends with status 0.
    Command(Command),
}

/// A directory made for the service (`RuntimeDirectory=` and its kin), relative to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    /// `RUNTIME_DIRECTORY`, …
    pub(crate) variable: &'static str,
    /// `run/web`.
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    /// Removed at stop.
    pub(crate) fleeting: bool,
}

/// A resource limit by its key (`LimitNOFILE`), soft and hard; `None` is infinity.
pub(crate) type Limit = (nix::sys::resource::Resource, Option<u64>, Option<u64>);

/// A service, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    pub(crate) start_pre: Vec<Command>,
    pub(crate) start: Vec<Command>,
    pub(crate) start_post: Vec<Command>,
    /// What must answer before it counts as started.
    pub(crate) ready: Vec<Ready>,
    pub(crate) reload: Vec<Command>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) supplementary_groups: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) pass_environment: Vec<String>,
    /// Files, and whether each may be missing.
    pub(crate) environment_files: Vec<(PathBuf, bool)>,
    /// The directory, and whether it may be missing.
    pub(crate) working_directory: Option<(PathBuf, bool)>,
    pub(crate) restart: Restart,
    pub(crate) restart_sec: Duration,
    pub(crate) restart_max: Duration,
    pub(crate) kill_signal: nix::sys::signal::Signal,
    pub(crate) kill_mode: KillMode,
    pub(crate) timeout_start: Option<Duration>,
    pub(crate) timeout_stop: Option<Duration>,
    pub(crate) remain: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) stdout: Output,
    pub(crate) stderr: Option<Output>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) umask: u32,
    pub(crate) no_new_privileges: bool,
    pub(crate) wanted_by: Vec<String>,
    pub(crate) aliases: Vec<String>,
    /// What was read and is not done, one sentence each.
    pub(crate) notes: Vec<String>,
}

const RESTART_CAP: Duration = Duration::from_secs(30);

impl Service {
    /// The service that the directives of its file and drop-ins, in order, describe.
    pub(crate) fn from_directives(all: &[Directive], with: &Specifiers) -> Result<Self, UnitError> {
        let mut service = Self::empty();
        for directive in all {
            if !service.take(directive, with)? {
                service.notes.extend(note(directive)?);
            }
        }
        service.validate(all)?;
        Ok(service)
    }

    fn empty() -> Self {
        Self {
            kind: Kind::Exec,
            start_pre: vec![],
            start: vec![],
            start_post: vec![],
            ready: vec![],
            reload: vec![],
            user: None,
            group: None,
            supplementary_groups: vec![],
            environment: vec![],
            pass_environment: vec![],
            environment_files: vec![],
            working_directory: None,
            restart: Restart::No,
            restart_sec: Duration::from_millis(100),
            restart_max: RESTART_CAP,
            kill_signal: nix::sys::signal::Signal::SIGTERM,
            kill_mode: KillMode::Group,
            timeout_start: Some(Duration::from_secs(90)),
            timeout_stop: Some(Duration::from_secs(90)),
            remain: false,
            limits: vec![],
            stdout: Output::Log,
            stderr: None,
            directories: vec![],
            umask: 0o022,
            no_new_privileges: false,
            wanted_by: vec![],
            aliases: vec![],
            notes: vec![],
        }
    }

    /// The directories that live as long as the service.
    pub(crate) fn fleeting(&self, root: &Path) -> Vec<PathBuf> {
        self.directories.iter().filter(|d| d.fleeting).map(|d| root.join(&d.path)).collect()
    }

    /// Where its complaints go.
    pub(crate) fn complaints(&self) -> &Output {
        self.stderr.as_ref().unwrap_or(&self.stdout)
    }

    /// Whether a start empties the file that its output goes to.
    pub(crate) fn empties_a_log(&self) -> bool {
        let is_emptied = |output: &Output| matches!(output, Output::Truncate(_));
        is_emptied(&self.stdout) || self.stderr.as_ref().is_some_and(is_emptied)
    }

    /// Take one directive; false when it is none of ours.
    fn take(&mut self, d: &Directive, with: &Specifiers) -> Result<bool, UnitError> {
        match d.section.as_str() {
            "Service" => {
                Ok(self.take_process(d, with)? || self.take_life(d)? || self.take_surroundings(d, with)?)
            }
            "Install" => self.take_install(d),
            _ => Ok(false),
        }
    }

    /// What is executed.
    fn take_process(&mut self, d: &Directive, with: &Specifiers) -> Result<bool, UnitError> {
        match d.key.as_str() {
            "Type" => self.kind = kind(d)?,
            "ExecStart" => push_command(&mut self.start, d, with)?,
            "ExecStartPre" => push_command(&mut self.start_pre, d, with)?,
            "ExecStartPost" => push_command(&mut self.start_post, d, with)?,
            "X-Mayfly-ReadyPort" => self.ready.push(ready_port(d, with)?),
            "X-Mayfly-ReadyCommand" => {
                let mut commands = vec![];
                push_command(&mut commands, d, with)?;
                self.ready.extend(commands.into_iter().map(Ready::Command));
            }
            "ExecReload" => push_command(&mut self.reload, d, with)?,
            "RemainAfterExit" => self.remain = boolean(d)?,
            "NoNewPrivileges" => self.no_new_privileges = boolean(d)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// When it lives and dies.
    fn take_life(&mut self, d: &Directive) -> Result<bool, UnitError> {
        let time = || span(&d.value).map_err(|e| d.wrong(e));
        let long = Duration::from_secs(u32::MAX.into());
        match d.key.as_str() {
            "Restart" => self.restart = restart(d)?,
            "RestartSec" => self.restart_sec = time()?.unwrap_or(long),
            "RestartMaxDelaySec" => self.restart_max = time()?.unwrap_or(long),
            "KillSignal" => self.kill_signal = signal_named(&d.value).map_err(|e| d.wrong(e))?,
            "KillMode" => self.kill_mode = kill_mode(d)?,
            "TimeoutStartSec" => self.timeout_start = time()?.filter(|t| !t.is_zero()),
            "TimeoutStopSec" => self.timeout_stop = time()?.filter(|t| !t.is_zero()),
            "TimeoutSec" => {
                self.timeout_start = time()?.filter(|t| !t.is_zero());
                self.timeout_stop = self.timeout_start;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As whom, where and with what.
    fn take_surroundings(&mut self, d: &Directive, with: &Specifiers) -> Result<bool, UnitError> {
        let text = || with.expand(&d.value).map_err(|e| d.wrong(e));
        match d.key.as_str() {
            "User" => self.user = Some(text()?).filter(|v| !v.is_empty()),
            "Group" => self.group = Some(text()?).filter(|v| !v.is_empty()),
            "SupplementaryGroups" => extend(&mut self.supplementary_groups, d, with)?,
            "Environment" => self.take_environment(d, with)?,
            "PassEnvironment" => extend(&mut self.pass_environment, d, with)?,
            "EnvironmentFile" if d.value.is_empty() => self.environment_files.clear(),
            "EnvironmentFile" => self.environment_files.push(optional_path(d, with)?),
            "WorkingDirectory" if d.value.is_empty() => self.working_directory = None,
            "WorkingDirectory" => self.working_directory = Some(optional_path(d, with)?),
            "UMask" => self.umask = octal(d)?,
            "StandardOutput" => self.stdout = output(d, with)?,
            "StandardError" => self.stderr = Some(output(d, with)?),
            "RuntimeDirectoryMode" | "StateDirectoryMode" | "CacheDirectoryMode" | "LogsDirectoryMode" => {
                self.set_directory_mode(d)?;
            }
            key => match (limit_named(key), directory_named(key)) {
                (Some(resource), _) => self.limits.push(limit(resource, d)?),
                (None, Some((variable, base))) => self.take_directories(variable, base, d, with)?,
                (None, None) => return Ok(false),
            },
        }
        Ok(true)
    }

    fn take_environment(&mut self, d: &Directive, with: &Specifiers) -> Result<(), UnitError> {
        if d.value.is_empty() {
            self.environment.clear();
        }
        for word in words(&d.value).map_err(|e| d.wrong(e))? {
            let word = with.expand(&word).map_err(|e| d.wrong(e))?;
            let (name, value) = word.split_once('=').ok_or_else(|| d.wrong("expected NAME=value"))?;
            if !is_variable(name) {
                return Err(d.wrong(format!("`{name}` cannot be a variable's name")));
            }
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    fn take_directories(
        &mut self,
        variable: &'static str,
        base: &str,
        d: &Directive,
        with: &Specifiers,
    ) -> Result<(), UnitError> {
        let mut names = vec![];
        extend(&mut names, d, with)?;
        for name in names {
            let relative = PathBuf::from(&name);
            if relative.components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
                return Err(d.wrong(format!("`{name}` must be a relative path without `..`")));
            }
            let path = PathBuf::from(base).join(relative);
            let fleeting = variable == "RUNTIME_DIRECTORY";
            self.directories.push(Directory { variable, path, mode: 0o755, fleeting });
        }
        Ok(())
    }

    fn set_directory_mode(&mut self, d: &Directive) -> Result<(), UnitError> {
        let mode = octal(d)?;
        let variable = directory_named(d.key.trim_end_matches("Mode")).map(|(variable, _)| variable);
        for directory in self.directories.iter_mut().filter(|x| Some(x.variable) == variable) {
            directory.mode = mode;
        }
        Ok(())
    }

    fn take_install(&mut self, d: &Directive) -> Result<bool, UnitError> {
        let list = words(&d.value).map_err(|e| d.wrong(e))?;
        let safe = |name: &String| !name.contains('/') && !name.starts_with('.');
        if !list.iter().all(safe) {
            return Err(d.wrong("a unit's name, without `/`"));
        }
        match d.key.as_str() {
            "WantedBy" | "RequiredBy" => self.wanted_by.extend(list),
            "Alias" => self.aliases.extend(list),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn validate(&mut self, all: &[Directive]) -> Result<(), UnitError> {
        // A mode given before its directory applies as well.
        for d in all.iter().filter(|d| d.section == "Service" && d.key.ends_with("DirectoryMode")) {
            self.set_directory_mode(d)?;
        }
        self.restart_max = self.restart_max.max(self.restart_sec);
        let Some(last) = all.last() else { return Ok(()) };
        let wrong =
            |reason: &str| UnitError { file: last.file.clone(), line: 1, column: 1, reason: reason.into() };
        if self.start.is_empty() {
            return Err(wrong("the unit has no ExecStart= in [Service]"));
        }
        if self.start.len() > 1 && self.kind != Kind::Oneshot {
            return Err(wrong(
                "several ExecStart= need Type=oneshot; clear the first by an empty `ExecStart=`",
            ));
        }
        Ok(())
    }
}

fn ready_port(d: &Directive, with: &Specifiers) -> Result<Ready, UnitError> {
    let text = with.expand(&d.value).map_err(|e| d.wrong(e))?;
    let here = std::net::Ipv4Addr::LOCALHOST;
    let port = text.parse().map(|port: u16| std::net::SocketAddr::from((here, port)));
    let address = port.ok().or_else(|| text.parse().ok()).filter(|address| address.port() != 0);
    address.map(Ready::Port).ok_or_else(|| d.wrong(format!("`{text}` is not a port or ADDRESS:PORT")))
}

fn kind(d: &Directive) -> Result<Kind, UnitError> {
    match d.value.as_str() {
        "simple" | "exec" | "idle" | "" => Ok(Kind::Exec),
        "notify" | "notify-reload" => Ok(Kind::Notify),
        "oneshot" => Ok(Kind::Oneshot),
        "forking" => Err(d.wrong(
            "Type=forking is not supported by the built-in supervisor: let the program stay in the foreground \
             and write Type=simple (a drop-in will do), or use supervisord or systemd",
        )),
        other => Err(d.wrong(format!("Type={other} is not supported; use simple, exec, notify or oneshot"))),
    }
}

fn restart(d: &Directive) -> Result<Restart, UnitError> {
    Ok(match d.value.as_str() {
        "no" | "" => Restart::No,
        "on-success" => Restart::OnSuccess,
        "on-failure" => Restart::OnFailure,
        "on-abnormal" | "on-abort" | "on-watchdog" => Restart::OnAbnormal,
        "always" => Restart::Always,
        other => {
            return Err(d.wrong(format!("Restart={other} is not one of no, on-success, on-failure, always")));
        }
    })
}

fn kill_mode(d: &Directive) -> Result<KillMode, UnitError> {
    Ok(match d.value.as_str() {
        "control-group" | "" => KillMode::Group,
        "mixed" => KillMode::Mixed,
        "process" | "none" => KillMode::Process,
        other => return Err(d.wrong(format!("KillMode={other} is not one of control-group, mixed, process"))),
    })
}

fn push_command(list: &mut Vec<Command>, d: &Directive, with: &Specifiers) -> Result<(), UnitError> {
    if d.value.is_empty() {
        list.clear();
        return Ok(());
    }
    let mut command =
        Command { words: vec![], ignore_failure: false, privileged: false, verbatim: false, argv0: None };
    let mut renamed = false;
    let rest = d.value.trim_start_matches(['-', ':', '+', '!', '@']);
    for prefix in d.value[..d.value.len() - rest.len()].chars() {
        match prefix {
            '-' => command.ignore_failure = true,
            ':' => command.verbatim = true,
            '@' => renamed = true,
            _ => command.privileged = true,
        }
    }
    for word in words(rest).map_err(|e| d.wrong(e))? {
        command.words.push(with.expand(&word).map_err(|e| d.wrong(e))?);
    }
    let program = command.words.first().ok_or_else(|| d.wrong("no program to execute"))?;
    if program.contains('/') && !program.starts_with('/') {
        return Err(d.wrong(format!("`{program}` must be an absolute path, or a bare name found in PATH")));
    }
    if renamed && command.words.len() > 1 {
        command.argv0 = Some(command.words.remove(1));
    }
    list.push(command);
    Ok(())
}

/// A list of words that adds to what is there; an empty value empties it.
fn extend(list: &mut Vec<String>, d: &Directive, with: &Specifiers) -> Result<(), UnitError> {
    if d.value.is_empty() {
        list.clear();
    }
    for word in words(&d.value).map_err(|e| d.wrong(e))? {
        list.push(with.expand(&word).map_err(|e| d.wrong(e))?);
    }
    Ok(())
}

fn optional_path(d: &Directive, with: &Specifiers) -> Result<(PathBuf, bool), UnitError> {
    let text = with.expand(&d.value).map_err(|e| d.wrong(e))?;
    let optional = text.starts_with('-');
    let text = text.trim_start_matches('-');
    let text = if text == "~" { with.home.as_str() } else { text };
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok((path, optional)) } else { Err(d.wrong("an absolute path is needed")) }
}

fn output(d: &Directive, with: &Specifiers) -> Result<Output, UnitError> {
    let text = with.expand(&d.value).map_err(|e| d.wrong(e))?;
    let (how, path) = text.split_once(':').unwrap_or((&text, ""));
    let absolute = || {
        let path = PathBuf::from(path);
        if path.is_absolute() { Ok(path) } else { Err(d.wrong("an absolute path is needed after the colon")) }
    };
    Ok(match how {
        "journal" | "journal+console" | "syslog" | "kmsg" | "" => Output::Log,
        "inherit" | "tty" => Output::Inherit,
        "null" => Output::Null,
        "append" | "file" => Output::Append(absolute()?),
        "truncate" => Output::Truncate(absolute()?),
        _ => return Err(d.wrong("expected journal, inherit, null, append:PATH, file:PATH or truncate:PATH")),
    })
}

pub(super) fn boolean(d: &Directive) -> Result<bool, UnitError> {
    match d.value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(d.wrong("expected yes or no")),
    }
}

pub(super) fn octal(d: &Directive) -> Result<u32, UnitError> {
    u32::from_str_radix(&d.value, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| d.wrong("expected octal digits such as 0755"))
}

/// A signal by name (`TERM`, `SIGTERM`) or number.
pub(crate) fn signal_named(name: &str) -> Result<nix::sys::signal::Signal, String> {
    let wrong = || format!("`{name}` is not a signal such as TERM, HUP or USR1");
    if let Ok(number) = name.parse::<i32>() {
        return nix::sys::signal::Signal::try_from(number).map_err(|_| wrong());
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse().map_err(|_| wrong())
}

fn limit_named(key: &str) -> Option<nix::sys::resource::Resource> {
    use nix::sys::resource::Resource;
    Some(match key {
        "LimitNOFILE" => Resource::RLIMIT_NOFILE,
        "LimitNPROC" => Resource::RLIMIT_NPROC,
        "LimitCORE" => Resource::RLIMIT_CORE,
        "LimitAS" => Resource::RLIMIT_AS,
        "LimitMEMLOCK" => Resource::RLIMIT_MEMLOCK,
        "LimitSTACK" => Resource::RLIMIT_STACK,
        "LimitFSIZE" => Resource::RLIMIT_FSIZE,
        "LimitDATA" => Resource::RLIMIT_DATA,
        "LimitCPU" => Resource::RLIMIT_CPU,
        "LimitNICE" => Resource::RLIMIT_NICE,
        "LimitRTPRIO" => Resource::RLIMIT_RTPRIO,
        "LimitSIGPENDING" => Resource::RLIMIT_SIGPENDING,
        _ => return None,
    })
}

fn limit(resource: nix::sys::resource::Resource, d: &Directive) -> Result<Limit, UnitError> {
    let number = |text: &str| match text {
        "infinity" => Ok(None),
        text => bytes(text).map(Some).ok_or_else(|| d.wrong("expected a number, `soft:hard` or infinity")),
    };
    let (soft, hard) = d.value.split_once(':').unwrap_or((&d.value, &d.value));
    Ok((resource, number(soft)?, number(hard)?))
}

fn bytes(text: &str) -> Option<u64> {
    let shift = match text.chars().last()? {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 0,
    };
    text.trim_end_matches(['K', 'M', 'G', 'T']).parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn directory_named(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "RuntimeDirectory" => ("RUNTIME_DIRECTORY", "run"),
        "StateDirectory" => ("STATE_DIRECTORY", "var/lib"),
        "CacheDirectory" => ("CACHE_DIRECTORY", "var/cache"),
        "LogsDirectory" => ("LOGS_DIRECTORY", "var/log"),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
