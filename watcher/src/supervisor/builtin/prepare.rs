//! From a unit to processes ready to be started: identity, environment, directories, output.

// Effects: makes directories, looks up programs and users.
#![allow(clippy::disallowed_methods)]

use super::identity::{Identity, identity};
use super::load::read;
use super::output::Logs;
use super::place;
use super::spawn::Launch;
use super::text::{environment_file, substitute};
use super::unit::{Command, Service};
use crate::programs::{PATH, is_executable, search};
use nix::unistd::Uid;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the processes of one service share.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) service: Service,
    identity: Option<Identity>,
    environment: Vec<(String, String)>,
    logs: Logs,
    root: PathBuf,
}

/// Resolve what can be wrong before anything is stopped or started.
pub(crate) fn setting(name: &str, service: Service, root: &Path, logs: &Logs) -> Result<Setting, String> {
    let identity =
        identity(service.user.as_deref(), service.group.as_deref(), &service.supplementary_groups)?;
    let environment = environment(&service, identity.as_ref(), root)?;
    let setting = Setting {
        name: name.to_owned(),
        service,
        identity,
        environment,
        logs: logs.clone(),
        root: root.to_owned(),
    };
    let Service { start, start_pre, start_post, .. } = &setting.service;
    let commands = start.iter().chain(start_pre).chain(start_post);
    for command in commands.filter(|c| !c.ignore_failure) {
        setting.program(command)?;
    }
    Ok(setting)
}

/// The environment: ours is not inherited, since it may hold secrets.
fn environment(
    service: &Service,
    identity: Option<&Identity>,
    root: &Path,
) -> Result<Vec<(String, String)>, String> {
    let mut list = vec![("PATH".to_owned(), PATH.to_owned())];
    for name in ["LANG", "TZ"].into_iter().chain(service.pass_environment.iter().map(String::as_str)) {
        list.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    if let Some(who) = identity {
        let own = [("USER", &who.name), ("LOGNAME", &who.name), ("HOME", &who.home), ("SHELL", &who.shell)];
        list.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
    }
    for variable in ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY"] {
        let paths = service.directories.iter().filter(|d| d.variable == variable);
        let paths: Vec<_> = paths.map(|d| root.join(&d.path).display().to_string()).collect();
        if !paths.is_empty() {
            list.push((variable.to_owned(), paths.join(":")));
        }
    }
    list.extend(service.environment.iter().cloned());
    for (file, optional) in &service.environment_files {
        let file = root.join(file.strip_prefix("/").unwrap_or(file));
        if *optional && !file.exists() {
            continue;
        }
        let text = read(&file).map_err(|e| e.to_string())?;
        list.extend(environment_file(&file, &text).map_err(|e| e.to_string())?);
    }
    Ok(last_wins(list))
}

fn last_wins(list: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::with_capacity(list.len());
    for (name, value) in list {
        kept.retain(|(n, _)| *n != name);
        kept.push((name, value));
    }
    kept
}

impl Setting {
    /// Who its processes are, but for commands that keep our rights.
    pub(crate) fn user(&self) -> Uid {
        self.identity.as_ref().map_or_else(Uid::effective, |identity| identity.uid)
    }

    /// Make `RuntimeDirectory=` and its kin.
    pub(crate) fn make_directories(&self) -> Result<(), String> {
        for directory in &self.service.directories {
            place::directory(&self.root, &directory.path, self.identity.as_ref(), directory.mode)
                .map_err(|e| format!("{}: {e}", self.root.join(&directory.path).display()))?;
        }
        Ok(())
    }

    /// One process of the service. `extra` are variables of this process alone.
    pub(crate) fn launch(
        &self,
        command: &Command,
        extra: &[(&str, String)],
        sockets: Vec<Arc<OwnedFd>>,
        fd_name: &str,
    ) -> Result<Launch, String> {
        let own = extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let environment = last_wins(self.environment.iter().cloned().chain(own).collect());
        let lookup = |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let mut argv =
            if command.verbatim { command.words.clone() } else { substitute(&command.words, lookup) };
        if let (Some(name), Some(first)) = (&command.argv0, argv.first_mut()) {
            first.clone_from(name);
        }
        let stdout = self.logs.open(&self.service.stdout, &self.name, &self.root)?;
        let stderr = match &self.service.stderr {
            Some(output) => self.logs.open(output, &self.name, &self.root)?,
            None => stdout.as_ref().map(std::fs::File::try_clone).transpose().map_err(|e| e.to_string())?,
        };
        Ok(Launch {
            program: self.program(command)?,
            argv,
            environment,
            identity: self.identity.clone().filter(|_| !command.privileged),
            directory: self.service.working_directory.clone(),
            limits: self.service.limits.clone(),
            umask: self.service.umask,
            no_new_privileges: self.service.no_new_privileges,
            stdout,
            stderr,
            sockets,
            fd_name: fd_name.to_owned(),
        })
    }

    /// The program's path: as written, or found in the unit's `PATH`.
    fn program(&self, command: &Command) -> Result<PathBuf, String> {
        let name = command.words.first().ok_or("no program to execute")?;
        if name.contains('/') {
            let path = PathBuf::from(name);
            return if is_executable(&path) {
                Ok(path)
            } else {
                Err(format!("{name}: no such executable file"))
            };
        }
        let path = self.environment.iter().find(|(n, _)| n == "PATH").map_or(PATH, |(_, value)| value);
        search(path, name).ok_or_else(|| format!("{name}: not found in {path}"))
    }
}
