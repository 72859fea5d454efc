//! `supervisord.running` and `supervisord.dead`: programs of supervisord, by the machine's service manager or
//! by supervisorctl.

use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{Command, Output, ServiceState};
use crate::modules::args::Args;
use crate::modules::cmd::last_words;
use crate::modules::textfile::place;
use crate::value::{Map, Value};

pub(crate) const RUNNING: &[&str] = &["restart", "update", "user", "conf_file", "bin_env"];
pub(crate) const DEAD: &[&str] = &["user", "conf_file", "bin_env"];

/// A program may be given its time to start and to stop.
const TIMEOUT: Duration = Duration::from_secs(600);

/// supervisorctl with its options.
pub(crate) struct Control {
    argv: Vec<String>,
    user: Option<String>,
    /// Somebody said which supervisord: the machine's service manager is not asked.
    own: bool,
}

impl Control {
    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let (bin, conf, user) = (args.text("bin_env")?, args.text("conf_file")?, args.text("user")?);
        let own = bin.is_some() || conf.is_some() || user.is_some();
        let program = match bin {
            None => "supervisorctl".to_owned(),
            Some(bin) if !bin.starts_with('/') => {
                return Err(Failure::declaration(format!(
                    "`bin_env` must be an absolute path, but is {bin:?}"
                )));
            }
            Some(bin) => {
                let path = place(&bin, call)?.path;
                let path = if path.is_dir() { path.join("bin/supervisorctl") } else { path };
                path.display().to_string()
            }
        };
        let mut argv = vec![program];
        if let Some(conf) = conf {
            argv.extend(["-c".to_owned(), place(&conf, call)?.path.display().to_string()]);
        }
        Ok(Self { argv, user, own })
    }

    /// Whether the machine's service manager is that supervisord.
    fn is_manager(&self, call: &Call<'_>) -> bool {
        !self.own && call.context.host.services().manager() == "supervisord"
    }

    fn ask(&self, args: &[&str], call: &Call<'_>) -> Result<Output, Failure> {
        let args = args.iter().map(|a| (*a).to_owned());
        let mut command = Command::argv(self.argv.iter().cloned().chain(args)).env("LC_ALL", "C.UTF-8");
        command.user.clone_from(&self.user);
        command.timeout = TIMEOUT;
        Ok(call.context.host.run(&command)?)
    }

    /// What it says; supervisorctl tells errors on standard output, and not always by its exit code.
    fn must(&self, args: &[&str], call: &Call<'_>) -> Result<String, Failure> {
        let output = self.ask(args, call)?;
        let said = output.out();
        match said.contains("ERROR") || !matches!(output.code, 0) {
            false => Ok(said),
            true => {
                let words = last_words(&output);
                Err(Failure::machine(format!("`supervisorctl {}` failed{words}", args.join(" "))))
            }
        }
    }

    fn state(&self, name: &str, call: &Call<'_>) -> Result<ServiceState, Failure> {
        if self.is_manager(call) {
            return call.context.host.services().state(name).map_err(Failure::machine);
        }
        let output = self.ask(&["status", name], call)?;
        state(&output.out()).ok_or_else(|| {
            Failure::machine(format!("`supervisorctl status` does not tell the state{}", last_words(&output)))
        })
    }

    fn act(&self, act: Act, name: &str, call: &Call<'_>) -> Result<(), Failure> {
        let services = call.context.host.services();
        match (self.is_manager(call), act) {
            (true, Act::Start) => services.start(name).map_err(Failure::machine),
            (true, Act::Stop) => services.stop(name).map_err(Failure::machine),
            (true, Act::Restart) => services.restart(name).map_err(Failure::machine),
            (false, _) => self.must(&[act.verb(), name], call).map(drop),
        }
    }

    /// Groups whose sections differ from what runs: `web: available`, `web: changed`. Nothing is changed by
    /// the question.
    fn differing(&self, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        let told = self.must(&["reread"], call)?;
        Ok(told.lines().filter_map(differs).map(|(name, _)| name.to_owned()).collect())
    }
}

fn differs(line: &str) -> Option<(&str, &str)> {
    line.split_once(": ").filter(|(_, how)| matches!(*how, "available" | "changed" | "disappeared"))
}

/// The state of a program, or of a group of them: it runs when all do.
fn state(told: &str) -> Option<ServiceState> {
    if told.contains("(no such process)") || told.contains("(no such group)") {
        return Some(ServiceState::Unknown);
    }
    let words = told.lines().filter_map(|l| l.split_whitespace().nth(1));
    const KNOWN: &[&str] =
        &["RUNNING", "STARTING", "STOPPED", "STOPPING", "EXITED", "BACKOFF", "FATAL", "UNKNOWN"];
    let states: Vec<&str> = words.filter(|w| KNOWN.contains(w)).collect();
    match states.as_slice() {
        [] => None,
        all if all.iter().all(|s| matches!(*s, "RUNNING" | "STARTING")) => Some(ServiceState::Running),
        _ => Some(ServiceState::Stopped),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Start,
    Stop,
    Restart,
}

impl Act {
    fn verb(self) -> &'static str {
        match self {
            Act::Start => "start",
            Act::Stop => "stop",
            Act::Restart => "restart",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Act::Start => "Starting",
            Act::Stop => "Stopping",
            Act::Restart => "Restarting",
        }
    }
}

/// The declaration.
pub(crate) struct Want {
    control: Control,
    name: String,
    restart: bool,
    update: bool,
}

/// How it stands.
pub(crate) struct Observed {
    state: ServiceState,
    /// Groups that supervisord has yet to take over from its configuration.
    differing: Vec<String>,
}

/// What is to be done, in this order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Take over the whole configuration.
    update: bool,
    /// Take over this group.
    add: Option<String>,
    act: Option<Act>,
}

fn name(call: &Call<'_>) -> Result<String, Failure> {
    let name = call.chunk.name.clone();
    match name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) || name == "all" {
        true => Err(Failure::declaration(format!("{name:?} cannot be a program of supervisord"))),
        false => Ok(name),
    }
}

/// The group of a program: before the colon, or of the same name.
fn group(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}

fn want(args: &Args<'_>, restart: bool, call: &Call<'_>) -> Result<Want, Failure> {
    let restart = args.flag("restart", restart)?;
    let update = args.flag("update", false)?;
    Ok(Want { control: Control::read(args, call)?, name: name(call)?, restart, update })
}

fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
    let state = want.control.state(&want.name, call)?;
    let ask = want.update || (state == ServiceState::Unknown && !want.control.is_manager(call));
    Ok(Observed { state, differing: if ask { want.control.differing(call)? } else { Vec::new() } })
}

fn running(want: &Want, now: &Observed) -> Diff<Plan> {
    let own = now.differing.iter().find(|g| *g == group(&want.name));
    let mut plan = Plan { update: want.update && !now.differing.is_empty(), ..Plan::default() };
    match now.state {
        ServiceState::Unknown if own.is_none() => {
            return Diff::Refuse(format!("supervisord knows no program {}", want.name));
        }
        ServiceState::Unknown => {
            plan.add = own.filter(|_| !plan.update).cloned();
            plan.act = Some(Act::Start);
        }
        ServiceState::Stopped => plan.act = Some(Act::Start),
        // A changed section is taken over with a restart of its own.
        ServiceState::Running if want.restart && (own.is_none() || !plan.update) => {
            plan.act = Some(Act::Restart)
        }
        ServiceState::Running => {}
    }
    change(want, plan, || format!("{} is running", want.name))
}

fn dead(want: &Want, now: &Observed) -> Diff<Plan> {
    let act = Some(Act::Stop).filter(|_| now.state == ServiceState::Running);
    change(want, Plan { act, ..Plan::default() }, || format!("{} is not running", want.name))
}

fn change(want: &Want, plan: Plan, same: impl FnOnce() -> String) -> Diff<Plan> {
    let words = plan.words(&want.name);
    if words.is_empty() {
        return Diff::Same(same());
    }
    let changes = Map::from([(want.name.clone(), Value::Str(words.clone()))]);
    Diff::Change { plan, changes, would: format!("Would be done: {words}") }
}

impl Plan {
    fn words(&self, name: &str) -> String {
        let update = self.update.then(|| "Updating supervisor".to_owned());
        let add = self.add.as_ref().map(|group| format!("Adding service: {group}"));
        let act = self.act.map(|act| format!("{}: {name}", act.word()));
        [update, add, act].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn apply(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Applied, Failure> {
    if plan.update {
        want.control.must(&["update"], call)?;
    }
    if let Some(group) = &plan.add {
        want.control.must(&["add", group], call)?;
    }
    // What was taken over may have been started with it.
    let state = if plan.update || plan.add.is_some() {
        want.control.state(&want.name, call)?
    } else {
        ServiceState::Stopped
    };
    match plan.act {
        Some(Act::Start) if state == ServiceState::Running => {}
        Some(act) => want.control.act(act, &want.name, call)?,
        // Taking a section over ends the program, and begins it again only with `autostart`.
        None if plan.update && state != ServiceState::Running => {
            want.control.act(Act::Start, &want.name, call)?
        }
        None => {}
    }
    let asked = if plan.act == Some(Act::Stop) { ServiceState::Stopped } else { ServiceState::Running };
    match want.control.state(&want.name, call)? {
        now if now == asked => Ok(Applied::done(plan.words(&want.name))),
        now => Err(Failure::machine(format!("supervisord ended well, yet {} is {now:?}", want.name))),
    }
}

macro_rules! program_state {
    ($(#[$doc:meta])* $name:ident, $restart:expr, $diff:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = Want;
            type Observed = Observed;
            type Plan = Plan;

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
                want(args, $restart, call)
            }

            fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
                observe(want, call)
            }

            fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
                $diff(want, now)
            }

            fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
                apply(want, &plan, call)
            }
        }
    };
}

program_state!(
    /// `supervisord.running`.
    Running,
    false,
    running
);
program_state!(
    /// mod_watch of `supervisord.running`: it is restarted unless `restart: false`.
    React,
    true,
    running
);
program_state!(
    /// `supervisord.dead`, and its mod_watch.
    Dead,
    false,
    dead
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_what_supervisorctl_says() {
        assert_eq!(state("web    RUNNING   pid 1, uptime 0:00:01"), Some(ServiceState::Running));
        assert_eq!(state("g:a  RUNNING  pid 1\ng:b  FATAL  Exited too quickly"), Some(ServiceState::Stopped));
        assert_eq!(state("web: ERROR (no such process)"), Some(ServiceState::Unknown));
        assert_eq!(state("unix:///run/s.sock no such file"), None);
        assert_eq!(differs("web: available"), Some(("web", "available")));
        assert_eq!(differs("No config updates to processes"), None);
    }
}
