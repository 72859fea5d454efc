//! `service.*`: what runs, and what will run at boot.
//!
//! The manager that this program itself uses answers first; where it is none, systemd, or Debian's scripts as Salt reads
//! them.
// Effects: looks at scripts and units below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use super::asked::{Asked, text, truth};
use super::{Answer, Table, list, map};
use crate::host::ServiceState;
use crate::python::glob::{fnmatch, is_pattern};
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("service.available", available),
    ("service.disabled", disabled),
    ("service.enabled", enabled),
    ("service.get_all", get_all),
    ("service.get_disabled", get_disabled),
    ("service.get_enabled", get_enabled),
    ("service.masked", masked),
    ("service.missing", missing),
    ("service.status", status),
];

const UNITS: &[&str] =
    &["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer"];
const UNIT_DIRS: &[&str] =
    &["/lib/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"];

fn systemd(asked: &Asked<'_>) -> bool {
    asked.host.path("/run/systemd/system").is_dir()
}

/// `nginx` for `nginx.service`, other units by their whole name.
fn unit(file: &str) -> Option<String> {
    let (name, kind) = file.rsplit_once('.')?;
    match kind {
        "service" => Some(name.to_owned()),
        kind => UNITS.contains(&kind).then(|| file.to_owned()),
    }
}

fn unit_file(name: &str) -> String {
    let has_kind = UNITS.iter().any(|kind| name.ends_with(&format!(".{kind}")));
    if has_kind { name.to_owned() } else { format!("{name}.service") }
}

fn scripts(asked: &Asked<'_>) -> Vec<String> {
    asked.entries("/etc/init.d").into_iter().filter(|name| name != "README").collect()
}

fn all(asked: &Asked<'_>) -> Result<BTreeSet<String>, String> {
    let mut names: BTreeSet<String> = scripts(asked).into_iter().collect();
    match systemd(asked) {
        true => names.extend(UNIT_DIRS.iter().flat_map(|dir| asked.entries(dir)).filter_map(|f| unit(&f))),
        false => names.extend(at_boot(asked)?),
    }
    Ok(names)
}

/// What starts at boot.
fn at_boot(asked: &Asked<'_>) -> Result<BTreeSet<String>, String> {
    if systemd(asked) {
        return units_in_state(asked, "enabled");
    }
    let level = match asked.which("runlevel") {
        Some(_) => asked.output(&["runlevel"])?.split_whitespace().nth(1).map(str::to_owned),
        None => None,
    };
    let levels = ["S".to_owned(), level.unwrap_or_else(|| "2".to_owned())];
    let links = levels.iter().flat_map(|level| asked.entries(&format!("/etc/rc{level}.d")));
    // As in Salt, the name is what follows the last digits of the link.
    let name = |link: String| {
        let digits = link.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
        link.starts_with('S').then(|| link[digits..].to_owned())
    };
    Ok(links.filter_map(name).collect())
}

fn units_in_state(asked: &Asked<'_>, state: &str) -> Result<BTreeSet<String>, String> {
    let out = asked.run(&["systemctl", "--full", "--no-legend", "--no-pager", "list-unit-files"])?.out();
    let fitting = out.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (file, found) = (words.next()?, words.next()?);
        (found == state).then(|| unit(file)).flatten()
    });
    Ok(fitting.collect())
}

fn runs(asked: &Asked<'_>, name: &str) -> Result<bool, String> {
    let services = asked.host.services();
    match services.state(name) {
        Ok(state) => Ok(state == ServiceState::Running),
        Err(cause) if services.manager() != "none" => Err(cause),
        Err(_) if systemd(asked) => Ok(asked.run(&["systemctl", "is-active", &unit_file(name)])?.code == 0),
        Err(_) if scripts(asked).iter().any(|s| s == name) => {
            Ok(asked.run(&[&format!("/etc/init.d/{name}"), "status"]).is_ok_and(|o| o.code == 0))
        }
        Err(_) => Ok(false),
    }
}

fn status(asked: &Asked<'_>) -> Answer {
    let [name, sig] = asked.bind(["name", "sig"])?;
    let name = text("name", name)?;
    if truth(sig) {
        return Err("`sig` is not supported in a template".to_owned());
    }
    if !is_pattern(&name) {
        return Ok(Value::Bool(runs(asked, &name)?));
    }
    let mut found = Vec::new();
    for service in all(asked)?.into_iter().filter(|s| fnmatch(s, &name)) {
        let state = Value::Bool(runs(asked, &service)?);
        found.push((service, state));
    }
    Ok(map(found))
}

fn is_there(asked: &Asked<'_>, name: &str) -> Result<bool, String> {
    let known = asked.host.services().state(name).is_ok_and(|state| state != ServiceState::Unknown);
    if known {
        return Ok(true);
    }
    let template = name.split_once('@').map(|(base, _)| format!("{base}@"));
    let all = all(asked)?;
    Ok(all.contains(name) || all.contains(&unit_name(name)) || template.is_some_and(|t| all.contains(&t)))
}

fn unit_name(name: &str) -> String {
    name.strip_suffix(".service").unwrap_or(name).to_owned()
}

fn available(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    is_there(asked, &name).map(Value::Bool)
}

fn missing(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    is_there(asked, &name).map(|there| Value::Bool(!there))
}

fn starts_at_boot(asked: &Asked<'_>) -> Result<bool, String> {
    let name = text("name", asked.args.first().or_else(|| asked.kwargs.get("name")))?;
    if let Ok(Some(enabled)) = asked.host.services().enabled(&name) {
        return Ok(enabled);
    }
    if systemd(asked) {
        let said = asked.run(&["systemctl", "is-enabled", &unit_file(&name)])?;
        return Ok(said.code == 0);
    }
    Ok(at_boot(asked)?.contains(&name))
}

fn enabled(asked: &Asked<'_>) -> Answer {
    starts_at_boot(asked).map(Value::Bool)
}

/// On Debian without systemd, what does not exist is not disabled either.
fn disabled(asked: &Asked<'_>) -> Answer {
    let enabled = starts_at_boot(asked)?;
    let name = text("name", asked.args.first().or_else(|| asked.kwargs.get("name")))?;
    Ok(Value::Bool(!enabled && (systemd(asked) || is_there(asked, &name)?)))
}

fn get_all(asked: &Asked<'_>) -> Answer {
    Ok(list(all(asked)?))
}

fn get_enabled(asked: &Asked<'_>) -> Answer {
    Ok(list(at_boot(asked)?))
}

fn get_disabled(asked: &Asked<'_>) -> Answer {
    if systemd(asked) {
        return Ok(list(units_in_state(asked, "disabled")?));
    }
    let enabled = at_boot(asked)?;
    Ok(list(all(asked)?.into_iter().filter(|name| !enabled.contains(name))))
}

fn masked(asked: &Asked<'_>) -> Answer {
    let [name, runtime, _] = asked.bind(["name", "runtime", "root"])?;
    let dir = if truth(runtime) { "/run" } else { "/etc" };
    let path = format!("{dir}/systemd/system/{}", unit_file(&text("name", name)?));
    let target = std::fs::read_link(asked.host.path(&path));
    Ok(Value::Bool(target.is_ok_and(|t| t == std::path::Path::new("/dev/null"))))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn scripts_of_debian() {
        let bench = Bench::new(&[
            ("/etc/init.d/cron", "#!/bin/sh\n"),
            ("/etc/init.d/nginx", "#!/bin/sh\n"),
            ("/etc/init.d/README", ""),
            ("/etc/rcS.d/S01cron", ""),
        ]);
        assert_eq!(bench.json("service.get_all", &[]), "[\"cron\",\"nginx\"]");
        assert_eq!(bench.json("service.get_enabled", &[]), "[\"cron\"]");
        assert_eq!(bench.json("service.get_disabled", &[]), "[\"nginx\"]");
        assert_eq!(bench.json("service.available", &["nginx"]), "true");
        assert_eq!(bench.json("service.missing", &["redis"]), "true");
        assert_eq!(bench.json("service.enabled", &["cron"]), "true");
        assert_eq!(bench.json("service.disabled", &["nginx"]), "true");
        assert_eq!(bench.json("service.disabled", &["redis"]), "false");
        assert_eq!(bench.json("service.status", &["redis"]), "false");
    }

    #[test]
    fn units_of_systemd() {
        let bench = Bench::new(&[
            ("/run/systemd/system/x", ""),
            ("/lib/systemd/system/nginx.service", ""),
            ("/lib/systemd/system/getty@.service", ""),
            ("/etc/systemd/system/backup.timer", ""),
        ]);
        let masked = bench.root.path().join("etc/systemd/system/cups.service");
        std::os::unix::fs::symlink("/dev/null", masked).unwrap();
        assert_eq!(bench.json("service.get_all", &[]), "[\"backup.timer\",\"cups\",\"getty@\",\"nginx\"]");
        assert_eq!(bench.json("service.available", &["getty@tty1"]), "true");
        assert_eq!(bench.json("service.masked", &["cups"]), "true");
        assert_eq!(bench.json("service.masked", &["nginx"]), "false");
    }
}
