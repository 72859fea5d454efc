//! `service.enabled`, `service.disabled`, `service.masked` and `service.unmasked`: whether a service starts at boot.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::ServiceState;
use crate::modules::args::Args;
use crate::value::{Map, Value};

pub(crate) const ENABLED: &[&str] = &[];
pub(crate) const MASKED: &[&str] = &["runtime"];
pub(crate) const IGNORED: &[&str] = &["skip_verify", "unmask", "unmask_runtime", "enable"];

/// A name that no service manager takes for an option or a path.
fn service_name(call: &Call<'_>) -> Result<String, Failure> {
    let name = call.chunk.name.clone();
    match name.is_empty() || name.starts_with('-') || name.contains(['/', '\0']) {
        true => Err(Failure::declaration(format!("{name:?} cannot be the name of a service"))),
        false => Ok(name),
    }
}

/// Whether it is known, and whether it starts at boot.
pub(crate) struct Observed {
    known: bool,
    enabled: Option<bool>,
    manager: String,
}

fn look(name: &str, call: &Call<'_>) -> Result<Observed, Failure> {
    let services = call.context.host.services();
    let known = services.state(name).map_err(Failure::machine)? != ServiceState::Unknown;
    let enabled = if known { services.enabled(name).map_err(Failure::machine)? } else { None };
    Ok(Observed { known, enabled, manager: services.manager().to_owned() })
}

fn change(name: &str, enable: bool) -> Diff<bool> {
    let word = if enable { "enabled" } else { "disabled" };
    Diff::Change {
        plan: enable,
        changes: Map::from([(name.to_owned(), Value::Bool(true))]),
        would: format!("Service {name} would be {word}"),
    }
}

fn set(name: &str, enable: bool, call: &Call<'_>) -> Result<Applied, Failure> {
    call.context.host.services().set_enabled(name, enable).map_err(Failure::machine)?;
    let word = if enable { "enabled" } else { "disabled" };
    Ok(Applied::done(format!("Service {name} has been {word}, and is in the desired state")))
}

/// `service.enabled`.
pub(crate) struct Enabled;

impl StateFn for Enabled {
    type Want = String;
    type Observed = Observed;
    type Plan = bool;

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        service_name(call)
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<Observed, Failure> {
        look(name, call)
    }

    fn diff(name: &String, now: &Observed) -> Diff<bool> {
        match (now.known, now.enabled) {
            (false, _) => Diff::Refuse(format!("The service `{name}` is not known to {}", now.manager)),
            (true, None) => Diff::Same(format!(
                "Enable is not available for the service {name}, which is in the desired state"
            )),
            (true, Some(true)) => {
                Diff::Same(format!("Service {name} is already enabled, and is in the desired state"))
            }
            (true, Some(false)) => change(name, true),
        }
    }

    fn apply(name: &String, enable: bool, call: &Call<'_>) -> Result<Applied, Failure> {
        set(name, enable, call)
    }
}

/// `service.disabled`; a service that nobody knows is.
pub(crate) struct Disabled;

impl StateFn for Disabled {
    type Want = String;
    type Observed = Observed;
    type Plan = bool;

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        service_name(call)
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<Observed, Failure> {
        look(name, call)
    }

    fn diff(name: &String, now: &Observed) -> Diff<bool> {
        match (now.known, now.enabled) {
            (true, Some(true)) => change(name, false),
            (false, _) => Diff::Same(format!("The named service {name} is not available")),
            _ => Diff::Same(format!("Service {name} is already disabled, and is in the desired state")),
        }
    }

    fn apply(name: &String, enable: bool, call: &Call<'_>) -> Result<Applied, Failure> {
        set(name, enable, call)
    }
}

/// A mask: of which service, and whether it ends with the next boot.
pub(crate) struct Mask {
    name: String,
    runtime: bool,
}

fn mask(args: &Args<'_>, call: &Call<'_>) -> Result<Mask, Failure> {
    Ok(Mask { name: service_name(call)?, runtime: args.flag("runtime", false)? })
}

fn masked(want: &Mask, call: &Call<'_>) -> Result<bool, Failure> {
    call.context.host.services().masked(&want.name, want.runtime).map_err(Failure::machine)
}

fn compare(want: &Mask, now: bool, wanted: bool) -> Diff<bool> {
    let kind = if want.runtime { "runtime masked" } else { "masked" };
    let word = if wanted { kind } else { "unmasked" };
    if now == wanted {
        return Diff::Same(format!("Service {} is already {word}", want.name));
    }
    let pair = [("old".to_owned(), Value::Bool(now)), ("new".to_owned(), Value::Bool(wanted))];
    Diff::Change {
        plan: wanted,
        changes: Map::from([(kind.to_owned(), Value::Map(Map::from(pair)))]),
        would: format!("Service {} would be {word}", want.name),
    }
}

fn set_mask(want: &Mask, mask: bool, call: &Call<'_>) -> Result<Applied, Failure> {
    let services = call.context.host.services();
    services.set_masked(&want.name, want.runtime, mask).map_err(Failure::machine)?;
    let word = if mask { "masked" } else { "unmasked" };
    Ok(Applied::done(format!("Service {} was {word}", want.name)))
}

/// `service.masked`, and with `false` `service.unmasked`.
pub(crate) struct SetMask<const MASKED: bool>;

impl<const MASKED: bool> StateFn for SetMask<MASKED> {
    type Want = Mask;
    type Observed = bool;
    type Plan = bool;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Mask, Failure> {
        mask(args, call)
    }

    fn observe(want: &Mask, call: &Call<'_>) -> Result<bool, Failure> {
        masked(want, call)
    }

    fn diff(want: &Mask, now: &bool) -> Diff<bool> {
        compare(want, *now, MASKED)
    }

    fn apply(want: &Mask, mask: bool, call: &Call<'_>) -> Result<Applied, Failure> {
        set_mask(want, mask, call)
    }
}
