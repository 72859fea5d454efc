//! Whether a service has come up with a release.

use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::host::{Command, ServiceState};
use crate::modules::args::Args;
use crate::modules::cmd::{DEFAULT_SHELL, last_words};
use crate::modules::http::Query;

/// How long a service may take when nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(500);

/// The service of an application, and how it is asked.
pub(super) struct Service {
    name: Option<String>,
    health: Option<Health>,
    timeout: Duration,
}

enum Health {
    /// An address that answers with a success.
    Url(Box<Query>),
    /// A command that ends with 0.
    Command(String),
}

impl Service {
    pub(super) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let timeout = args.seconds("health_timeout")?.unwrap_or(TIMEOUT);
        let health = match (args.text("health_url")?, args.text("health_cmd")?) {
            (Some(_), Some(_)) => {
                return Err(Failure::declaration("only one of health_url, health_cmd can be given"));
            }
            (Some(url), None) if !url.starts_with("http://") && !url.starts_with("https://") => {
                return Err(Failure::declaration("`health_url` must begin with http:// or https://"));
            }
            (Some(url), None) => Some(Health::Url(Box::new(Query::healthy(&url)))),
            (None, Some(line)) => Some(Health::Command(line)),
            (None, None) => None,
        };
        Ok(Self { name: args.text("service")?, health, timeout })
    }

    /// Restart it and wait until it is well: what to say of it, or why it is not.
    pub(super) fn come_up(&self, call: &Call<'_>) -> Result<String, String> {
        let services = call.context.host.services();
        let state = |name: &str| services.state(name);
        if let Some(name) = &self.name {
            match state(name)? {
                ServiceState::Unknown => {
                    return Err(format!("the service {name} is not known to {}", services.manager()));
                }
                ServiceState::Running => services.restart(name)?,
                ServiceState::Stopped => services.start(name)?,
            }
        }
        self.well(call)?;
        match &self.name {
            Some(name) if state(name)? != ServiceState::Running => {
                Err(format!("the service {name} does not stay up"))
            }
            Some(name) => Ok(format!(", and {name} has come up with it")),
            None => Ok(String::new()),
        }
    }

    /// Stop it, where there is nothing to run.
    pub(super) fn stop(&self, call: &Call<'_>) -> Result<(), String> {
        let services = call.context.host.services();
        match &self.name {
            Some(name) if services.state(name)? == ServiceState::Running => services.stop(name),
            _ => Ok(()),
        }
    }

    fn well(&self, call: &Call<'_>) -> Result<(), String> {
        match &self.health {
            None => Ok(()),
            Some(Health::Url(query)) => {
                let judged = query.until(self.timeout, INTERVAL, call).map_err(|e| e.to_string())?;
                match judged.good {
                    true => Ok(()),
                    false => Err(format!("{} (for {} s)", judged.comment, self.timeout.as_secs())),
                }
            }
            Some(Health::Command(line)) => self.command(line, call),
        }
    }

    /// Run the command until it ends with 0, or for as long as the service may take.
    fn command(&self, line: &str, call: &Call<'_>) -> Result<(), String> {
        let host = call.context.host;
        let end = host.now() + self.timeout.as_secs_f64();
        loop {
            let left = Duration::try_from_secs_f64(end - host.now()).unwrap_or_default();
            let mut command = Command::shell(DEFAULT_SHELL, line);
            command.timeout = left.max(Duration::from_secs(1));
            let why = match host.run(&command) {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(output) => format!("`{line}` ended with exit code {}{}", output.code, last_words(&output)),
                Err(error) => error.to_string(),
            };
            if host.cancelled() || host.now() + INTERVAL.as_secs_f64() >= end {
                return Err(format!("{why} (for {} s)", self.timeout.as_secs()));
            }
            host.pause(INTERVAL);
        }
    }
}
