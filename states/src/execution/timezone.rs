//! `timezone.*`: where the machine thinks it is.
// Effects: reads links below the root of the machine.
#![allow(clippy::disallowed_methods)]

use super::asked::Asked;
use super::{Answer, Table, string};
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("timezone.compare_zone", zone_compare),
    ("timezone.get_hwclock", get_hwclock),
    ("timezone.get_offset", get_offset),
    ("timezone.get_zone", get_zone),
    ("timezone.get_zonecode", get_zonecode),
    ("timezone.zone_compare", zone_compare),
];

/// The zone that `/etc/localtime` links to, or that `/etc/timezone` names.
fn zone(asked: &Asked<'_>) -> Result<String, String> {
    let link = std::fs::read_link(asked.host.path("/etc/localtime")).ok().map(|l| l.display().to_string());
    let linked = link.and_then(|l| l.split_once("zoneinfo/").map(|(_, zone)| zone.to_owned()));
    let named = asked.read("/etc/timezone").ok().map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
    // Without systemd, Debian's own file is what counts.
    let debian = asked.host.path("/etc/debian_version").exists() && asked.which("timedatectl").is_none();
    let found = if debian { named.or(linked) } else { linked.or(named) };
    found.ok_or_else(|| "Unable to get timezone".to_owned())
}

fn get_zone(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    zone(asked).map(string)
}

fn zone_compare(asked: &Asked<'_>) -> Answer {
    let wanted = asked.only("timezone")?;
    Ok(Value::Bool(zone(asked)? == wanted))
}

fn get_zonecode(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    asked.output(&["date", "+%Z"]).map(string)
}

fn get_offset(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    asked.output(&["date", "+%z"]).map(string)
}

/// The third line of `/etc/adjtime`; UTC where nobody says otherwise.
fn get_hwclock(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let settings = asked.read_or_empty("/etc/default/rcS");
    let mut lines = settings.lines().filter(|l| !l.trim_start().starts_with('#'));
    if let Some(line) = lines.find(|l| l.contains("UTC=")) {
        let utc = line.rsplit('=').next().unwrap_or_default().eq_ignore_ascii_case("yes");
        return Ok(string(if utc { "UTC" } else { "localtime" }));
    }
    let adjtime = asked.read_or_empty("/etc/adjtime");
    let local = adjtime.lines().nth(2).is_some_and(|line| line.trim() == "LOCAL");
    Ok(string(if local { "localtime" } else { "UTC" }))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn the_zone_is_that_of_the_link_or_of_the_file() {
        let bench = Bench::new(&[("/etc/timezone", "Europe/Zurich\n"), ("/etc/adjtime", "0\n0\nLOCAL\n")]);
        assert_eq!(bench.json("timezone.get_zone", &[]), "\"Europe/Zurich\"");
        assert_eq!(bench.json("timezone.get_hwclock", &[]), "\"localtime\"");
        let link = bench.root.path().join("etc/localtime");
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Etc/UTC", link).unwrap();
        assert_eq!(bench.json("timezone.get_zone", &[]), "\"Etc/UTC\"");
        assert!(Bench::new(&[]).call("timezone.get_zone", &[]).is_err());
    }
}
