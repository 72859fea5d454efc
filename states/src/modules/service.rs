//! `service.running` and `service.dead`, by way of the caller's service manager.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{ServiceState, Services};
use crate::modules::args::Args;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["enable", "reload", "full_restart"];
pub(crate) const IGNORED: &[&str] = &["sig", "init_delay", "no_block", "unmask", "unmask_runtime", "force"];

/// What is asked of a service.
pub(crate) struct Want {
    name: String,
    enable: Option<bool>,
    reload: bool,
}

/// Where it stands.
pub(crate) struct Observed {
    state: ServiceState,
    /// `None`: the manager has no such notion, or nobody asks.
    enabled: Option<bool>,
    manager: String,
    offline: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    act: Option<Act>,
    enable: Option<bool>,
}

#[derive(Clone, Copy)]
enum Act {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Act {
    fn done(self) -> &'static str {
        match self {
            Act::Start => "started",
            Act::Stop => "stopped",
            Act::Restart => "restarted",
            Act::Reload => "reloaded",
        }
    }

    fn carry_out(self, services: &dyn Services, name: &str) -> Result<(), String> {
        match self {
            Act::Start => services.start(name),
            Act::Stop => services.stop(name),
            Act::Restart => services.restart(name),
            Act::Reload => services.reload(name),
        }
    }
}

fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let name = call.chunk.name.clone();
    if name.is_empty() || name.starts_with('-') || name.contains(['/', '\0']) {
        return Err(Failure::declaration(format!("{name:?} cannot be the name of a service")));
    }
    let reload = args.flag("reload", false)? && !args.flag("full_restart", false)?;
    Ok(Want { name, enable: args.maybe_flag("enable")?, reload })
}

fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
    let services = call.context.host.services();
    let offline = services.offline();
    let state = services.state(&want.name).map_err(Failure::machine)?;
    let asked = want.enable.is_some() && state != ServiceState::Unknown;
    let enabled = if asked { services.enabled(&want.name).map_err(Failure::machine)? } else { None };
    Ok(Observed { state, enabled, manager: services.manager().to_owned(), offline })
}

fn unknown(want: &Want, observed: &Observed) -> String {
    format!("The service `{}` is not known to {}", want.name, observed.manager)
}

/// In the root of an image that is being made, services are neither started nor stopped; a watch still does.
fn offline(want: &Want) -> Diff<Plan> {
    Diff::Same(format!("systemd does not run yet: the service `{}` is left as it is", want.name))
}

/// Changes by Salt's key: true when it was started, false when it was stopped; else whether it is enabled now.
fn changes(want: &Want, plan: &Plan) -> Map {
    let mut changes = Map::new();
    let enabled = |e| Value::Map(Map::from([("enabled".to_owned(), Value::Bool(e))]));
    let change = plan.act.map(|act| Value::Bool(!matches!(act, Act::Stop)));
    if let Some(change) = change.or(plan.enable.map(enabled)) {
        changes.insert(want.name.clone(), change);
    }
    changes
}

fn words(want: &Want, plan: &Plan) -> String {
    let act = plan.act.map(Act::done);
    let enable = plan.enable.map(|e| if e { "enabled" } else { "disabled" });
    let words: Vec<&str> = act.into_iter().chain(enable).collect();
    format!("`{}` {}", want.name, words.join(" and "))
}

fn change(want: &Want, plan: Plan) -> Diff<Plan> {
    let would = format!("Would be: {}", words(want, &plan));
    Diff::Change { changes: changes(want, &plan), would, plan }
}

fn apply(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Applied, Failure> {
    let services = call.context.host.services();
    if let Some(act) = plan.act {
        act.carry_out(services, &want.name).map_err(Failure::machine)?;
    }
    if let Some(enable) = plan.enable {
        services.set_enabled(&want.name, enable).map_err(Failure::machine)?;
    }
    let done = words(want, plan);
    Ok(Applied::done(format!("Service {done}")))
}

fn enabling(want: &Want, observed: &Observed) -> Option<bool> {
    want.enable.filter(|wanted| observed.enabled.is_some_and(|is| is != *wanted))
}

macro_rules! service_state {
    ($(#[$doc:meta])* $name:ident, $diff:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = Want;
            type Observed = Observed;
            type Plan = Plan;

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
                want(args, call)
            }

            fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
                observe(want, call)
            }

            fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
                let diff: fn(&Want, &Observed) -> Diff<Plan> = $diff;
                diff(want, observed)
            }

            fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
                apply(want, &plan, call)
            }
        }
    };
}

service_state!(
    /// `service.running`.
    Running,
    |want, observed| {
        if observed.offline {
            return offline(want);
        }
        let act = match observed.state {
            ServiceState::Unknown => return Diff::Refuse(unknown(want, observed)),
            ServiceState::Stopped => Some(Act::Start),
            ServiceState::Running => None,
        };
        let plan = Plan { act, enable: enabling(want, observed) };
        match (plan.act, plan.enable) {
            (None, None) => Diff::Same(format!("The service `{}` is running", want.name)),
            _ => change(want, plan),
        }
    }
);

service_state!(
    /// `service.dead`; a service that nobody knows is dead.
    Dead,
    |want, observed| {
        if observed.offline {
            return offline(want);
        }
        let act = Some(Act::Stop).filter(|_| observed.state == ServiceState::Running);
        let plan = Plan { act, enable: enabling(want, observed) };
        match (plan.act, plan.enable) {
            (None, None) => Diff::Same(format!("The service `{}` is not running", want.name)),
            _ => change(want, plan),
        }
    }
);

service_state!(
    /// mod_watch of `service.running`: reload or restart, or start when it is down.
    React,
    |want, observed| {
        let act = match (observed.state, want.reload) {
            (ServiceState::Unknown, _) => return Diff::Refuse(unknown(want, observed)),
            (ServiceState::Stopped, _) => Act::Start,
            (ServiceState::Running, true) => Act::Reload,
            (ServiceState::Running, false) => Act::Restart,
        };
        change(want, Plan { act: Some(act), enable: None })
    }
);

service_state!(
    /// mod_watch of `service.dead`: stop what runs.
    ReactDead,
    |want, observed| match observed.state {
        ServiceState::Running => change(want, Plan { act: Some(Act::Stop), enable: None }),
        _ => Diff::Same(format!("The service `{}` is not running", want.name)),
    }
);
