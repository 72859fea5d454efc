//! `timezone.system`: the machine's time zone, and whether its hardware clock runs in UTC.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::Args;
use crate::modules::textfile::{TextFile, roots};
use crate::value::{Map, Value};

pub(crate) const SYSTEM: &[&str] = &["utc"];

const LOCALTIME: &str = "/etc/localtime";
const ZONES: &str = "/usr/share/zoneinfo";
const ZONE_LIMIT: usize = 1 << 20;

/// The declaration.
pub(crate) struct Want {
    zone: String,
    utc: bool,
}

/// How the machine stands.
pub(crate) struct Observed {
    /// The machine knows the zone.
    known: bool,
    /// `/etc/localtime` is that zone.
    local: bool,
    /// `/etc/timezone`, where it is used.
    name: Option<TextFile>,
    /// `/etc/adjtime`.
    clock: TextFile,
}

/// What is to be done.
pub(crate) struct Plan {
    zone: bool,
    name: Option<TextFile>,
    clock: Option<(TextFile, String)>,
}

/// `timezone.system`.
pub(crate) struct System;

impl StateFn for System {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let zone = call.chunk.name.clone();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
        if zone.is_empty() || zone.starts_with('/') || !zone.chars().all(fits) {
            return Err(Failure::declaration(format!("{zone:?} cannot be the name of a time zone")));
        }
        Ok(Want { zone, utc: args.flag("utc", true)? })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let host = call.context.host;
        let zone = host.path(&format!("{ZONES}/{}", want.zone));
        let known = matches!(fsys::stat(&zone)?.kind, Kind::File | Kind::Symlink);
        let debian = call.context.minion.grains.get("os_family").and_then(Value::as_str) == Some("Debian");
        let name = TextFile::read("/etc/timezone", roots(0o644), call)?;
        let clock = TextFile::read("/etc/adjtime", roots(0o644), call)?;
        let local = known && is_zone(&want.zone, call)?;
        Ok(Observed { known, local, name: Some(name).filter(|n| debian || n.exists), clock })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        if !now.known {
            return Diff::Refuse(format!("there is no time zone {} below {ZONES}", want.zone));
        }
        let name = now.name.clone().filter(|n| n.text.trim() != want.zone);
        let clock = Some(&now.clock).filter(|_| want.utc).and_then(|c| Some((c.clone(), in_utc(&c.text)?)));
        let mut changes = Map::new();
        if !now.local || name.is_some() {
            changes.insert("timezone".to_owned(), Value::Str(want.zone.clone()));
        }
        if clock.is_some() {
            changes.insert("utc".to_owned(), Value::Bool(true));
        }
        if changes.is_empty() {
            return Diff::Same(format!("Timezone {} already set", want.zone));
        }
        let plan = Plan { zone: !now.local, name, clock };
        Diff::Change { plan, changes, would: format!("Timezone {} would be set", want.zone) }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if plan.zone {
            let path = call.context.host.path(LOCALTIME);
            fsys::replace_symlink(&path, &format!("{ZONES}/{}", want.zone), None)?;
        }
        if let Some(name) = plan.name {
            name.write(&format!("{}\n", want.zone))?;
        }
        if let Some((clock, text)) = plan.clock {
            clock.write(&text)?;
        }
        Ok(Applied::done(format!("Set timezone {}", want.zone)))
    }
}

/// Whether `/etc/localtime` is a link to the zone, or a copy of it.
fn is_zone(zone: &str, call: &Call<'_>) -> Result<bool, Failure> {
    let host = call.context.host;
    let path = host.path(LOCALTIME);
    match fsys::stat(&path)?.kind {
        Kind::Missing => Ok(false),
        Kind::Symlink => {
            let target = fsys::read_link(&path)?;
            let target = target.to_string_lossy();
            let target = target.trim_start_matches("../").trim_start_matches('/');
            Ok(target.strip_prefix("usr/share/zoneinfo/") == Some(zone))
        }
        Kind::File => {
            let zone = fsys::canonical(&host.path(&format!("{ZONES}/{zone}")))?;
            Ok(fsys::read(&path, ZONE_LIMIT)?.is_same(&fsys::read(&zone, ZONE_LIMIT)?))
        }
        odd => Err(Failure::machine(format!("{LOCALTIME} is {odd}; it is left as it is"))),
    }
}

/// adjtime(5) with its third line as UTC; `None` when it is so already.
fn in_utc(text: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.get_mut(2) {
        Some(clock) if clock.trim() == "LOCAL" => *clock = "UTC",
        _ => return None,
    }
    Some(lines.join("\n") + "\n")
}
